// Machines that begin from one template have nothing in common but what they began with and the layers that they read, and none of them
// changes that.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunSpec } from '../../client/sdk/model.js'
import { begun, finish, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox, python } from '../harness/images.js'
import { Layout, layer, shellLayer } from '../harness/layout.js'
import { vmms } from '../harness/machines.js'
import { noMachine } from '../harness/offers.js'

const runs = Number(process.env['CAISSON_TEMPLATE_RUNS'] ?? 12)
const atOnce = 4
const clockErrorMs = 10
const mib = 1 << 20

const fixture = await Fixture.start({ args: ['--allow-emulation'] })
const { caisson, instance } = fixture
const skip = await noMachine(caisson)

const spec = (over: Partial<RunSpec>): RunSpec => ({ image: busybox, isolation: 'MICROVM_REQUIRED', ...over })
const perform = async (image: string, script: string, limits = {}) => {
  const { verdict, stdout } = await finish(caisson.run(spec({ image, args: sh(script), limits })))
  assert.equal(verdict.outcome, 'EXITED', JSON.stringify(verdict))
  return stdout.toString().trim()
}

/** What the launcher keeps of machines that it saved, by the path that leads there. */
async function templates(): Promise<Map<string, string>> {
  const folder = `/proc/${await instance.pid('launcher')}/fd`
  const kept = new Map<string, string>()
  for (const fd of await readdir(folder)) {
    const target = await readlink(`${folder}/${fd}`).catch(() => '')
    if (target.startsWith('/memfd:template-')) kept.set(`${folder}/${fd}`, await hashOf(`${folder}/${fd}`))
  }
  return kept
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

test('no two machines share random numbers, ids or files, and the template stays as it was', {
  skip,
  timeout: 600_000,
}, async () => {
  const layout = await Layout.create(join(instance.folder, 'images/nameless'))
  const layers = [await shellLayer(), await layer([{ name: 'etc/machine-id', content: '' }])]
  const image = await layout.index({ latest: await layout.image(layers) })
  await perform(image, 'true')
  const before = await templates()
  assert.ok([...before.keys()].length >= 2, 'memory and state of a template')
  const script = `
    test -e /mark && echo "another's file is here"; echo mine > /mark; /bin/busybox sync /mark
    bb=/bin/busybox
    $bb dd if=/dev/urandom of=/dev/shm/noise bs=1M count=8 2> /dev/null
    $bb head -c 16 /dev/urandom | $bb od -A n -t x1 | $bb tr -d ' \\n'; echo
    cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id /etc/machine-id; $bb hostname`
  const said: string[] = []
  for (let done = 0; done < runs; done += atOnce)
    said.push(...(await Promise.all(Array.from({ length: atOnce }, () => perform(image, script)))))
  for (const lines of said.map((text) => text.split('\n'))) assert.equal(lines.length, 5, lines.join('; '))
  const words = said.flatMap((text) => text.split('\n'))
  assert.equal(new Set(words).size, words.length)
  const after = await templates()
  for (const [path, hash] of before) assert.equal(after.get(path), hash, path)
})

test('each machine has the scratch disk as it was saved, or a new one of the size that it asked for', {
  skip,
  timeout: 300_000,
}, async () => {
  const look = 'stat -f -c "%a %d" /; ls -A /'
  const first = await perform(busybox, look)
  assert.match(first, /^\d+ \d+\n/)
  // All that may be written, and no more.
  const fill = (bytes: number) => `
    fallocate -l ${bytes} /all && rm /all
    dd if=/dev/urandom of=/some bs=1M count=4 2> /dev/null; sum=$(md5sum < /some)
    sync; test "$sum" = "$(md5sum < /some)" && rm /some
    fallocate -l ${bytes + mib} /all 2> /dev/null || echo full`
  for (const diskBytes of [2 ** 30, 16 * mib, 2 ** 31]) {
    assert.equal(await perform(busybox, fill(diskBytes), { diskBytes }), 'full', `${diskBytes}`)
    assert.equal(await perform(busybox, look), first)
  }
  const other = { diskBytes: 16 * mib }
  assert.equal(await perform(busybox, look, other), await perform(busybox, look, other))
})

test('scratch disks of one template are copies of the one that it was saved with', { skip, timeout: 300_000 }, async () => {
  const ends = await Promise.all([1, 2].map(() => begun(caisson, spec({ image: busybox }), 'true')))
  const disks = (await Promise.all((await vmms(instance)).map(scratchDisks))).flat()
  const usual = disks.filter(({ size }) => size > 2 ** 30 && size < 2 ** 31)
  assert.ok(usual.length >= 2, JSON.stringify(disks))
  assert.equal(new Set(usual.map(({ id }) => id)).size, usual.length)
  // By a guest; and a new file system was never mounted.
  const [first] = usual
  for (const { mounts, mountedAt } of usual) assert.deepEqual([mounts, mountedAt], [1, first?.mountedAt])
  for (const end of ends) await end()
})

test('machines that run at once read the same file of a layer, which an image may have twice', {
  skip,
  timeout: 300_000,
}, async () => {
  const layout = await Layout.create(join(instance.folder, 'images/twice'))
  const [shell, word] = [await shellLayer(), await layer([{ name: 'word', content: 'shared' }])]
  const image = await layout.index({ latest: await layout.image([word, shell, word]) })
  const ends = await Promise.all([1, 2].map(() => begun(caisson, spec({ image }), 'cat /word')))
  const stored = await Promise.all([shell, word].map(({ diffId }) => fileId(`${store}/${diffId.replace(':', '-')}.sqfs`)))
  const held = await Promise.all((await vmms(instance)).map(layerFiles))
  const sharing = held.filter((files) => stored.every((file) => files.has(file)))
  assert.ok(sharing.length >= 2, `${sharing.length} of ${held.length} machines read ${stored.join(' and ')}`)
  for (const files of sharing) assert.equal(files.size, stored.length)
  for (const end of ends) assert.equal((await end()).stdout.toString(), 'shared')
})

const store = join(instance.folder, 'state/layers/v1')

/** The files of layers that a VMM holds open. */
async function layerFiles(pid: number): Promise<Set<string>> {
  return new Set(await Promise.all((await filesBelow('/layers/', pid)).map(fileId)))
}

/** What a VMM's scratch disk says of itself (fs/ext4/ext4.h: `ext4_super_block`). It holds its file open more than once. */
async function scratchDisks(pid: number) {
  const disks = (await filesBelow('/scratch/', pid)).map(async (path) => {
    await using file = await open(path)
    const { buffer } = await file.read(Buffer.alloc(1024), 0, 1024, 1024)
    const { size } = await file.stat()
    return { id: await fileId(path), size, mounts: buffer.readUInt16LE(52), mountedAt: buffer.readUInt32LE(44) }
  })
  return [...new Map((await Promise.all(disks)).map((disk) => [disk.id, disk])).values()]
}

async function filesBelow(folder: string, pid: number): Promise<string[]> {
  const files = (await readdir(`/proc/${pid}/fd`)).map((fd) => `/proc/${pid}/fd/${fd}`)
  const targets = await Promise.all(files.map((file) => readlink(file).catch(() => '')))
  return files.filter((_, index) => targets[index]?.includes(folder))
}

/** Which file of the host it is, by whatever name. */
async function fileId(path: string): Promise<string> {
  const { dev, ino } = await stat(path)
  return `${dev}:${ino}`
}

test('the clock of a machine is right, however long its template waited', { skip, timeout: 300_000 }, async () => {
  const code = "import sys, time\nfor line in sys.stdin: sys.stdout.write(f'{time.time()}\\n')"
  const { runId } = await caisson.submit(spec({ image: python, args: ['-u', '-c', code], stdin: 'attach' }))
  const input = caisson.attach(runId)
  let asked = Date.now()
  const errors: number[] = []
  await input.write(Buffer.from('\n'))
  for await (const event of caisson.watch(runId)) {
    if (event.type === 'verdict') assert.equal(event.verdict.exitCode, 0)
    if (event.type !== 'output') continue
    const [heard, told] = [Date.now(), Number(event.data.toString()) * 1000]
    // It was told between the question and the answer.
    errors.push(Math.max(asked - told, told - heard, 0))
    if (errors.length === 5) await input.end()
    asked = Date.now()
    if (errors.length < 5) await input.write(Buffer.from('\n'))
  }
  assert.equal(errors.length, 5)
  assert.ok(Math.max(...errors) <= clockErrorMs, `off by ${errors.join(', ')} ms`)
})
