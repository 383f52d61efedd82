// Only the launcher, and `up` that supervises, have root: everything that reads what clients send has nothing. What each process is held
// to is the table of docs/security.md, compared here with what the kernel says of each process of a running service.

import assert from 'node:assert/strict'
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { lookAtConfinement } from '../../client/doctor/confinement.js'
import { probeMachine } from '../../client/doctor/machine.js'
import { findInstallation } from '../../client/up/installation.js'
import { findUser, userNames } from '../../client/up/instance.js'
import type { caisson as messages } from '../../proto/messages.js'
import { LauncherConnection } from '../../worker/sandbox/launcher.js'
import { run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox } from '../harness/images.js'
import { landlock } from '../harness/landlock.js'
import { childrenOf, cmdline } from '../harness/processes.js'
import { until } from '../harness/until.js'

const fixture = await Fixture.start()
const { instance } = fixture
const installation = findInstallation()
const page = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8')

const status = (pid: number) =>
  new Map(
    readFileSync(`/proc/${pid}/status`, 'utf8')
      .split('\n')
      .map((line) => line.split(/:\s*/) as [string, string]),
  )

/** Rows of the table whose first column is `process`: its cells by their titles. */
function table(): Map<string, Map<string, string>> {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => line.startsWith('| process |'))
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  const titles = cells(lines[start] ?? '')
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  const rows = lines.slice(start + 2, end).map(cells)
  return new Map(rows.map((row) => [row[0] ?? '', new Map(row.map((cell, column) => [titles[column] ?? '', cell]))]))
}

/** The first sandbox that waits. */
async function waitingAgent(): Promise<number> {
  const launcher = await instance.pid('launcher')
  await until('a sandbox waits', 10_000, async () => (await childrenOf(launcher)).length > 0)
  const [agent] = await childrenOf(launcher)
  return agent ?? assert.fail('no sandbox waits')
}

/** That waits for the worker, whose place is taken here by root. */
async function waitingHelper(program: string, request: messages.launch.v1.IRequest): Promise<number> {
  const connection = await LauncherConnection.connect(`/run/caisson/${instance.name}/launcher.sock`)
  after(() => connection[Symbol.dispose]())
  await connection.ask(request, 'prepared')
  for (const pid of await childrenOf(await instance.pid('launcher'))) if ((await cmdline(pid)).startsWith(program)) return pid
  return assert.fail(`no ${program} waits`)
}

async function storedLayer(): Promise<string> {
  await run(fixture.caisson, { image: busybox, args: ['true'] })
  const [layer] = readdirSync(join(instance.folder, 'state/layers/v1')).filter((name) => name.endsWith('.sqfs'))
  return layer?.slice(0, -'.sqfs'.length) ?? assert.fail('no layer is stored')
}

const processes: Record<string, () => Promise<number>> = {
  launcher: () => instance.pid('launcher'),
  redis: () => instance.pid('redis'),
  control: () => instance.pid('control'),
  worker: () => instance.pid('worker'),
  agent: waitingAgent,
  converter: () => {
    const diffId = `sha256:${'0'.repeat(64)}`
    return waitingHelper('caisson-converter', { convert: { diffId, maxBytes: 1, maxEntries: 1 } })
  },
  lister: async () => waitingHelper('caisson-lister', { list: { layers: [await storedLayer()], most: 1 } }),
}

// Bits of linux/capability.h.
const capabilityBits: Record<string, bigint> = {
  CHOWN: 0n,
  DAC_OVERRIDE: 1n,
  DAC_READ_SEARCH: 2n,
  FOWNER: 3n,
  FSETID: 4n,
  KILL: 5n,
  SETGID: 6n,
  SETUID: 7n,
  SETPCAP: 8n,
  SYS_CHROOT: 18n,
  SYS_PTRACE: 19n,
  SYS_ADMIN: 21n,
  SYS_RESOURCE: 24n,
  MKNOD: 27n,
  SETFCAP: 31n,
}

/** Of the machine, which may not have all that are named: its first process cannot either. */
function mask(names: string): bigint {
  const there = BigInt(`0x${status(process.pid).get('CapBnd')}`)
  const bits = names === 'none' ? [] : names.split(' ').map((name) => 1n << (capabilityBits[name] ?? assert.fail(name)))
  return bits.reduce((all, bit) => all | bit, 0n) & there
}

async function uidOf(user: string): Promise<number> {
  if (user === 'root') return 0
  return (await findUser(user))?.uid ?? assert.fail(`no user ${user}`)
}

for (const [name, row] of table()) {
  const find = processes[name] ?? assert.fail(`docs/security.md names a process ${name} that is not looked at`)
  test(`${name} is held to what docs/security.md says`, async () => {
    const pid = await find()
    const said = (title: string) => row.get(title) ?? assert.fail(`no column ${title}`)
    // The converter attaches one of its own, soon after it began; the lister, once somebody is there to be told.
    const filters = name === 'converter' ? '2' : '1'
    await until('its filters are there', 10_000, () => status(pid).get('Seccomp_filters') === filters)
    const found = status(pid)
    const uids = found.get('Uid')?.split('\t').map(Number) ?? []
    if (said('user') === 'a range of its own') assert.ok(uids.every((uid) => uid >= 0x5000_0000 && uid === uids[0]))
    else assert.deepEqual(new Set(uids), new Set([await uidOf(said('user'))]))
    if (said('capabilities') !== 'of its own namespace')
      for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
        assert.equal(BigInt(`0x${found.get(set)}`), mask(said('capabilities')), set)
    for (const set of ['CapInh', 'CapAmb']) assert.equal(found.get(set), '0000000000000000', set)
    assert.equal(found.get('NoNewPrivs'), '1')
    assert.equal(found.get('Seccomp'), '2')
    if (name !== 'launcher') assert.equal(found.get('Groups')?.trim().split(' ').includes('0'), false)
    const shares = (kind: string) => readlinkSync(`/proc/${pid}/ns/${kind}`) === readlinkSync(`/proc/self/ns/${kind}`)
    assert.equal(shares('net'), said('network') === 'host')
    assert.equal(shares('mnt'), false)
    assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max core file size\s+1\s+1\s/m)
  })
}

test('doctor tells of each what the kernel does', async () => {
  const told = await lookAtConfinement(instance.name, await probeMachine(installation))
  for (const name of ['launcher', 'redis', 'control', 'worker', 'agent']) {
    const { pid, uid, capabilities, noNewPrivs, filters, namespaces } =
      told.find(({ process }) => process === name) ?? assert.fail(`nothing of ${name}`)
    if (name !== 'agent') assert.equal(pid, await processes[name]?.())
    assert.equal(uid, Number(status(pid).get('Uid')?.split('\t')[0]))
    assert.deepEqual([noNewPrivs, filters, namespaces.includes('mnt')], [true, 1, true])
    if (name === 'launcher') assert.ok(capabilities.includes('CAP_SYS_ADMIN') && !capabilities.includes('CAP_SYS_MODULE'))
    else if (name !== 'agent') assert.deepEqual(capabilities, [])
  }
})

test('runtime files are nobody else\u2019s', async () => {
  const { name, redisSocket } = instance
  await run(fixture.caisson, { args: ['true'] })
  const mode = (path: string) => statSync(path).mode & 0o777
  assert.equal(mode(`/run/caisson/${name}/launcher.sock`), 0o600)
  assert.equal(mode(`/run/caisson/${name}/channels`), 0o700)
  assert.equal(mode(dirname(redisSocket)), 0o750)
  assert.equal(mode(`/run/caisson/${name}/credentials-control`), 0o700)
  assert.equal(mode(`/run/caisson/${name}/credentials-worker`), 0o700)
})

const as = (user: string, ...command: string[]) =>
  execFileSync('setpriv', ['--reuid', user, '--regid', 'nogroup', '--clear-groups', ...command], { stdio: 'pipe' })

test('another user can neither read Redis nor ask the launcher; control cannot ask the launcher either', () => {
  const { name, redisSocket } = instance
  assert.throws(() => as('nobody', 'redis-cli', '-s', redisSocket, 'ping'), /Permission denied|Could not connect/)
  const dial = `require('net').connect('/run/caisson/${name}/launcher.sock').on('error', (e) => { console.error(e.code); process.exit(1) })`
  for (const user of ['nobody', userNames.control, userNames.redis])
    assert.throws(() => as(user, process.execPath, '-e', dial), /EACCES/)
})

test('no part reads what is another\u2019s', () => {
  const { name, folder } = instance
  const secrets = {
    worker: [`/run/caisson/${name}/credentials-worker`, join(folder, 'state/images')],
    control: [`/run/caisson/${name}/credentials-control`],
    redis: [join(folder, 'state/redis')],
  }
  for (const [owner, paths] of Object.entries(secrets))
    for (const [part, user] of Object.entries(userNames))
      for (const path of paths)
        if (part === owner) as(user, 'ls', path)
        else assert.throws(() => as(user, 'ls', path), /Permission denied/, `${part} reads ${path}`)
})

test('the launcher closes on whoever is not its worker, also where the socket would let him in', async () => {
  const path = `/run/caisson/${instance.name}/launcher.sock`
  chmodSync(path, 0o666)
  try {
    // It would be answered an error otherwise: a frame of no request.
    const dial = `const s = require('net').connect(${JSON.stringify(path)}, () => s.write(Buffer.from([0, 0, 0, 0])))
      s.on('data', (d) => { console.log(d.length); process.exit() }).on('error', () => {}).on('close', () => console.log('closed'))`
    assert.equal(String(as(userNames.control, process.execPath, '-e', dial)).trim(), 'closed')
  } finally {
    chmodSync(path, 0o600)
  }
  const uid = await uidOf(userNames.control)
  await until('it says so', 5000, async () => instance.log().includes(`a connection of uid ${uid} was refused`))
  const answer = await new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(Buffer.from([0, 0, 0, 0])))
    socket.once('data', resolve).once('error', reject)
  })
  assert.ok(answer, 'and root, who asks the same, is answered')
})

const scratch = mkdtempSync('/var/tmp/caisson-fence-')
after(() => rmSync(scratch, { recursive: true }))

/** As a service is started. */
async function enter(args: string[], options: ExecFileSyncOptions = {}): Promise<string> {
  const { uid, gid } = (await findUser(userNames.worker)) ?? assert.fail('no user')
  const where = ['--install', join(installation.folder, 'proto'), '--at', join(scratch, 'at')]
  return String(
    execFileSync(installation.launcher, ['enter', '--user', `${uid}:${gid}`, ...where, ...args], { stdio: 'pipe', ...options }),
  )
}

test('a service names no files but its own', async (t) => {
  const { works, detail } = landlock()
  if (!works) return t.skip(`Landlock: ${detail}`)
  chmodSync(scratch, 0o777)
  const file = join(scratch, 'file')
  writeFileSync(file, 'everybody may read this')
  chmodSync(file, 0o666)
  await assert.rejects(enter(['--', 'cat', file]), /Permission denied/)
  assert.equal(await enter(['--reads', file, '--', 'cat', file]), 'everybody may read this')
  await assert.rejects(enter(['--reads', scratch, '--executes', '/usr', '--', 'sh', '-c', `echo > ${file}`]), /Permission denied/)
  assert.equal(await enter(['--writes', scratch, '--executes', '/usr', '--', 'sh', '-c', `cat < /dev/null > ${file}`]), '')
  await assert.rejects(enter(['--', 'sh', '-c', 'cat /etc/hostname']), /Permission denied/, 'and executes no program but itself')
  await assert.rejects(
    enter(['--no-listen', '--', process.execPath, '-e', "require('net').createServer().listen(0, '127.0.0.1')"]),
    /EACCES/,
  )
})

test('Redis does all that it must with the calls of its list, and no more', async () => {
  const redis = (...words: string[]) => as(userNames.redis, 'redis-cli', '-s', instance.redisSocket, ...words)
  const state = () =>
    new Map(
      String(redis('info', 'persistence'))
        .split('\r\n')
        .map((line) => line.split(':') as [string, string]),
    )
  const done = (name: string) => async () => state().get(name) === '0'
  redis('bgrewriteaof')
  await until('the file is rewritten', 10_000, done('aof_rewrite_in_progress'))
  redis('bgsave')
  await until('the snapshot is written', 10_000, done('rdb_bgsave_in_progress'))
  for (const status of ['aof_last_bgrewrite_status', 'rdb_last_bgsave_status', 'aof_last_write_status'])
    assert.equal(state().get(status), 'ok', status)
  // A port is what control and worker may have by their list, and Redis by its own may not.
  assert.match(String(redis('config', 'set', 'port', '7000')), /Unable to listen/)
})

test('a service is refused the calls of its list', async () => {
  const node = (script: string) => enter(['--executes', '/usr', '--', process.execPath, '-e', script])
  await assert.rejects(enter(['--executes', '/usr', '--', 'unshare', '--user', 'true']), /Operation not permitted/)
  await assert.rejects(
    enter(['--executes', '/usr', '--', 'mount', '-t', 'tmpfs', 'none', '/tmp']),
    /not permitted|superuser|denied/,
  )
  const family = (number: number) =>
    `import socket; socket.socket(${number}, socket.SOCK_RAW if ${number} == 17 else socket.SOCK_SEQPACKET)`
  for (const number of [17, 38])
    await assert.rejects(enter(['--executes', '/usr', '--', '/usr/bin/python3', '-c', family(number)]), /Operation not permitted/)
  assert.equal(
    await node("console.log(require('child_process').execFileSync('echo', ['children']).toString().trim())"),
    'children\n',
  )
})
