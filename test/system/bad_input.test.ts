// A request that is wrong names the field and the limit, and leaves no record behind.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import type { CaissonError } from '../../client/sdk/error.js'
import type { RunSpec } from '../../client/sdk/model.js'
import { container } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { images } from '../harness/images.js'

const fixture = await Fixture.start()

const gibibyte = 1 << 30

/** Field as the .proto writes it, and words that the message must hold (a limit, mostly). */
const refused: [name: string, spec: Partial<RunSpec>, field: string, words?: RegExp][] = [
  ['no image', { image: '' }, 'spec.image'],
  ['an image of no known kind', { image: 'dir:/images/busybox' }, 'spec.image', /oci/],
  ['a relative path', { image: 'oci:images/busybox' }, 'spec.image', /absolute/],
  ['a path with NUL', { image: 'oci:/a\0b' }, 'spec.image'],
  ['a very long reference', { image: `oci:/${'x'.repeat(5000)}` }, 'spec.image', /4,?096/],
  ['too many words', { args: Array.from({ length: 5000 }, () => 'x') }, 'spec.args', /4,?096/],
  ['a word with NUL', { args: ['a\0b'] }, 'spec.args[0]'],
  ['2 MiB of environment', { env: { BIG: 'x'.repeat(2 << 20) } }, 'spec.env', /1,?048,?576|1 MiB/],
  ['an environment name with =', { env: { 'A=B': '1' } }, 'spec.env'],
  ['an empty environment name', { env: { '': '1' } }, 'spec.env'],
  ['an environment value with NUL', { env: { A: 'x\0y' } }, 'spec.env'],
  ['a relative folder', { cwd: 'tmp' }, 'spec.cwd', /absolute/],
  ['a user with too many parts', { user: 'a:b:c' }, 'spec.user'],
  ['a user number that is none', { user: '4294967296' }, 'spec.user'],
  ['a user with a newline', { user: 'root\nx' }, 'spec.user'],
  ['a label key with a space', { labels: { 'a b': '1' } }, 'spec.labels'],
  ['a long label value', { labels: { a: 'x'.repeat(256) } }, 'spec.labels', /255/],
  ['65 labels', { labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ''])) }, 'spec.labels', /64/],
  ['2 MiB inline input', { stdin: Buffer.alloc(2 << 20) }, 'spec.stdin_inline', /1,?048,?576|1 MiB/],
  ['negative processes', { limits: { pids: -1 } }, 'spec.limits.pids', /1 to 32,?768/],
  ['no processes', { limits: { pids: 0 } }, 'spec.limits.pids', /1 to/],
  ['too many processes', { limits: { pids: 32_769 } }, 'spec.limits.pids', /32,?768/],
  ['negative cpu', { limits: { cpuMillis: -5 } }, 'spec.limits.cpu_millis'],
  ['more cores than there are', { limits: { cpuMillis: 10_000_000 } }, 'spec.limits.cpu_millis'],
  ['negative memory', { limits: { memoryBytes: -1 } }, 'spec.limits.memory_bytes'],
  ['too little memory', { limits: { memoryBytes: 4096 } }, 'spec.limits.memory_bytes', /4,?194,?304|4 MiB/],
  ['more memory than there is', { limits: { memoryBytes: 2 ** 50 } }, 'spec.limits.memory_bytes'],
  ['too little disk', { limits: { diskBytes: 1 } }, 'spec.limits.disk_bytes', /1,?048,?576|1 MiB/],
  ['more disk than there is', { limits: { diskBytes: 2 ** 50 } }, 'spec.limits.disk_bytes'],
  ['negative output', { limits: { outputBytes: -1 } }, 'spec.limits.output_bytes'],
  ['output beyond 16 GiB', { limits: { outputBytes: 17 * gibibyte } }, 'spec.limits.output_bytes', /17,?179,?869,?184|16 GiB/],
  ['no wall time', { limits: { wallMs: 0 } }, 'spec.limits.wall_ms', /1 to/],
  ['wall time over a week', { limits: { wallMs: 604_800_001 } }, 'spec.limits.wall_ms', /604,?800,?000/],
  ['no cpu time', { limits: { cpuMs: 0 } }, 'spec.limits.cpu_ms', /1 to/],
  ['too few files', { limits: { openFiles: 7 } }, 'spec.limits.open_files', /8/],
  ['more files than there are', { limits: { openFiles: 2 ** 30 } }, 'spec.limits.open_files'],
  ['a seccomp profile that is no JSON', { seccomp: '{' }, 'spec.seccomp', /JSON/],
  [
    'a seccomp profile with an unknown action',
    { seccomp: '{"defaultAction":"NO"}' },
    'spec.seccomp.defaultAction',
    /SCMP_ACT_ALLOW/,
  ],
  ['a seccomp profile of 65 KiB', { seccomp: ' '.repeat(65 << 10) }, 'spec.seccomp', /65,?536/],
  ['a capability that no run can have', { capabilities: ['CAP_SYS_ADMIN'] }, 'spec.capabilities[0]', /CAP_CHOWN/],
  ['a priority below 0', { priority: -1 }, 'spec.priority', /1,?000,?000/],
  ['a priority above 1,000,000', { priority: 1_000_001 }, 'spec.priority', /1,?000,?000/],
  ['a start deadline of 0', { startWithinMs: 0 }, 'spec.start_within_ms', /1 to/],
  ['a start deadline beyond a week', { startWithinMs: 604_800_001 }, 'spec.start_within_ms', /604,?800,?000/],
  ['retention too short', { retentionMs: 999 }, 'spec.retention_ms', /1,?000/],
  ['retention too long', { retentionMs: 2_592_000_001 }, 'spec.retention_ms', /2,?592,?000,?000/],
]

/** Records, their streams, idempotency keys and jobs. */
const keys = (): string[] => {
  const all = execFileSync('redis-cli', ['-s', fixture.instance.redisSocket, '--scan'], { encoding: 'utf8' }).split('\n')
  return all.filter((key) => /^caisson:(runs?:|idempotency:|bull:.*:r)/.test(key)).sort()
}

for (const [name, spec, field, words] of refused) {
  test(name, async () => {
    const error = await refusal(container({ args: ['true'], ...spec }))
    assert.equal(error.code, 'INVALID_ARGUMENT', error.message)
    const violation = error.violations.find((each) => each.field === field || each.field.startsWith(`${field}[`))
    assert.ok(violation, `${field} in ${JSON.stringify(error.violations)}`)
    if (words) assert.match(violation.description, words)
  })
}

test('several fields are named at once', async () => {
  const error = await refusal(container({ cwd: 'x', limits: { pids: -1, wallMs: 0 } }))
  assert.deepEqual(error.violations.map(({ field }) => field).sort(), ['spec.cwd', 'spec.limits.pids', 'spec.limits.wall_ms'])
})

test('an idempotency key of wrong form', async () => {
  const error = await refusal(container({}), 'white space')
  assert.equal(error.violations[0]?.field, 'idempotency_key')
})

test('a microVM where none is offered', async () => {
  const offers = (await fixture.caisson.workers()).flatMap((worker) => worker.offers)
  if (offers.some(({ backend, unavailable }) => backend === 'microvm' && unavailable === '')) return
  const error = await refusal({ image: `oci:${images}/busybox`, isolation: 'MICROVM_REQUIRED' })
  assert.equal(error.code, 'FAILED_PRECONDITION')
  assert.equal(error.reason, 'NO_WORKER')
})

test('runs that are not there', async () => {
  const { caisson } = fixture
  const missing = `r${'0'.repeat(25)}`
  for (const call of [
    () => caisson.get(missing),
    () => caisson.cancel(missing),
    () => caisson.delete(missing),
    () => caisson.watch(missing).verdict(),
    () => caisson.signal(missing, 15),
  ]) {
    await assert.rejects(call, (error: CaissonError) => error.code === 'NOT_FOUND' && error.reason === 'RUN_NOT_FOUND')
  }
  for (const runId of ['', 'x', '../etc', `r${'A'.repeat(25)}`]) {
    await assert.rejects(caisson.get(runId), (error: CaissonError) => ['INVALID_ARGUMENT', 'NOT_FOUND'].includes(error.code))
  }
})

async function refusal(spec: RunSpec, idempotencyKey?: string): Promise<CaissonError> {
  const { caisson } = fixture
  const before = keys()
  const error = await caisson.submit(spec, idempotencyKey === undefined ? {} : { idempotencyKey }).then(
    ({ runId }) => assert.fail(`accepted as ${runId}`),
    (error: CaissonError) => error,
  )
  assert.deepEqual(keys(), before, 'no record is left')
  return error
}
