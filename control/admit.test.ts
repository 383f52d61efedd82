import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { QueueName } from '../proto/job.js'
import { resolveLimits } from '../proto/limits.js'
import { caisson } from '../proto/messages.js'
import { Refusal } from '../proto/reason.js'
import { admit, checkCapacity, workerMaxima } from './admit.js'
import { hasRoom, parseMemoryInfo } from './memory.js'

const { Backend, Isolation } = caisson.v1
const container = { backend: Backend.BACKEND_CONTAINER }
const microvm = { backend: Backend.BACKEND_MICROVM, counts: true, vmm: 'qemu', accelerator: 'kvm' }
const emulated = { ...microvm, counts: false, accelerator: 'tcg' }
const worker = (workerId: string, ...offers: caisson.v1.IBackendOffer[]): caisson.v1.IWorker => ({ workerId, offers })

const { ISOLATION_UNSPECIFIED: unset, MICROVM_REQUIRED: required, MICROVM_PREFERRED: preferred, CONTAINER: plain } = Isolation

const cases: [string, caisson.v1.Isolation, caisson.v1.IWorker[], QueueName | 'refused'][] = [
  ['nothing lives', plain, [], 'refused'],
  ['a container', plain, [worker('a', container)], 'container'],
  ['a container, though there is better', plain, [worker('a', container, microvm)], 'container'],
  ['no container', plain, [worker('a', microvm)], 'refused'],
  ['unset means preferred', unset, [worker('a', container, microvm)], 'microvm'],
  ['preferred', preferred, [worker('a', container), worker('b', microvm)], 'microvm'],
  ['preferred, but emulated', preferred, [worker('a', container, emulated)], 'container'],
  ['preferred, but there is none', preferred, [worker('a', container)], 'container'],
  ['required', required, [worker('a', container, microvm)], 'microvm-required'],
  ['required, and emulated where the operator allows it', required, [worker('a', container, emulated)], 'microvm-required'],
  ['required, but not available', required, [worker('a', container, { ...microvm, unavailable: 'no /dev/kvm' })], 'refused'],
  ['a worker that drains', plain, [{ ...worker('a', container), draining: true }], 'refused'],
]

describe('admit', () => {
  for (const [name, isolation, workers, expected] of cases) {
    test(name, () => {
      const go = (waitForWorker: boolean) => admit({ isolation, waitForWorker }, workers)
      if (expected === 'refused') {
        assert.throws(
          () => go(false),
          (error) => error instanceof Refusal && error.reason === 'NO_WORKER',
        )
        assert.equal(go(true).queue, isolation === required ? 'microvm-required' : 'container')
      } else {
        assert.equal(go(false).queue, expected)
      }
    })
  }

  test('tells why', () => {
    const workers = [worker('a', container, { ...microvm, unavailable: 'no /dev/kvm' }), worker('b', container, emulated)]
    const none = workers.slice(0, 1)
    assert.throws(() => admit({ isolation: required }, none), /a: no \/dev\/kvm/)
    assert.match(admit({ isolation: preferred }, workers).message, /b: emulated/)
    assert.match(admit({ isolation: preferred }, workers).message, /^a container: .*no \/dev\/kvm/)
    assert.equal(admit({ isolation: plain }, workers).message, '')
  })
})

describe('checkCapacity', () => {
  const small = { ...worker('a', container), maximum: { cpuMillis: 4_000, memoryBytes: 2 ** 30, openFiles: 20_000 } }
  const large = { ...worker('b', container), maximum: { cpuMillis: 2_000, memoryBytes: 2 ** 33 } }
  const check = (asked: caisson.v1.ILimits, workers: caisson.v1.IWorker[]) =>
    checkCapacity(resolveLimits(asked, {}), 'container', workers)

  test('what one worker gives', () => assert.deepEqual(check({ memoryBytes: 2 ** 33 }, [small, large]), []))
  test('what none gives', () => {
    assert.deepEqual(check({ openFiles: 30_000, memoryBytes: 9 * 2 ** 30 }, [small]), [
      { field: 'spec.limits.memory_bytes', description: `is ${9 * 2 ** 30}, no living worker gives more than ${2 ** 30}` },
      { field: 'spec.limits.open_files', description: 'is 30000, no living worker gives more than 20000' },
    ])
  })
  test('a disk rate, where one can keep it', () => {
    const unable = worker('c', { ...container, diskRateUnavailable: 'cgroup v1' })
    const asked = { diskBytesPerSecond: 65_536 }
    assert.deepEqual(check(asked, [unable]), [
      { field: 'spec.limits.disk_bytes_per_second', description: 'cannot be kept by any living worker (c: cgroup v1)' },
    ])
    assert.deepEqual(check(asked, [unable, worker('a', container)]), [])
    assert.deepEqual(check({}, [unable]), [])
  })
  test('less memory where a machine takes its part', () => {
    const both = { ...worker('a', container, { ...microvm, memoryBytes: 2 ** 29 }), maximum: { memoryBytes: 2 ** 30 } }
    const limits = resolveLimits({ memoryBytes: 2 ** 29 + 1 }, {})
    assert.deepEqual(checkCapacity(limits, 'container', [both]), [])
    assert.deepEqual(checkCapacity(limits, 'microvm', [both]), [
      { field: 'spec.limits.memory_bytes', description: `is ${2 ** 29 + 1}, no living worker gives more than ${2 ** 29}` },
    ])
    assert.deepEqual(workerMaxima('microvm', [both]), { memoryBytes: 2 ** 29 })
  })
  test('what no single one gives', () => {
    const [violation] = check({ cpuMillis: 4_000, memoryBytes: 4 * 2 ** 30 }, [small, large])
    assert.equal(violation?.field, 'spec.limits')
  })
  test('nothing is known while none lives', () => assert.deepEqual(check({ cpuMillis: 64_000 }, []), []))
  test('the largest of all, where all have one', () => {
    assert.deepEqual(workerMaxima('container', [small, large]), { cpuMillis: 4_000, memoryBytes: 2 ** 33 })
  })
})

describe('memory', () => {
  const info = (used: number, max: number) =>
    `# Memory\r\nused_memory:${used}\r\ntotal_system_memory:1000\r\nmaxmemory:${max}\r\n`
  test('maxmemory, or half of the machine', () => {
    assert.deepEqual(parseMemoryInfo(info(5, 100)), { usedBytes: 5, limitBytes: 100 })
    assert.deepEqual(parseMemoryInfo(info(5, 0)), { usedBytes: 5, limitBytes: 500 })
  })
  test('room up to three quarters, with what was taken since', () => {
    const use = { usedBytes: 700, limitBytes: 1000 }
    assert.ok(hasRoom(use, 49))
    assert.ok(!hasRoom(use, 50))
  })
})
