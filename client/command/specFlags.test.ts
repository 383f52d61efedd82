import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { absoluteImage, addSpecFlags, type SpecFlags, specOf } from './specFlags.js'

function parse(...args: string[]) {
  const command = addSpecFlags(new Command('run').exitOverride().configureOutput({ writeErr: () => {} }))
  command.argument('<image>').argument('[command...]').passThroughOptions()
  command.parse(args, { from: 'user' })
  const [image = '', ...words] = command.args
  return specOf(image, words, command.opts<SpecFlags>())
}

test('every field of a run has its flag', () => {
  const flags = [
    '--cpu',
    '1.5',
    '--memory',
    '256M',
    '--pids',
    '10',
    '--disk',
    '1G',
    '--output',
    '1M',
    '--timeout',
    '2m',
    '--cpu-time',
    '1s',
  ]
  flags.push(
    '--open-files',
    '64',
    '-e',
    'A=1',
    '--env',
    'B=2',
    '-w',
    '/w',
    '-u',
    'me:us',
    '-l',
    'k=v',
    '--isolation',
    'microvm-required',
  )
  flags.push('--priority', '5', '--start-within', '10s', '--retention', '1h', '--retry-after-start', '--wait-for-worker')
  assert.deepEqual(parse(...flags, '--entrypoint', 'sh', '--entrypoint', '-c', 'oci:/i:latest', 'echo', '-n', '--cpu'), {
    image: 'oci:/i:latest',
    args: ['echo', '-n', '--cpu'],
    entrypoint: ['sh', '-c'],
    env: { A: '1', B: '2' },
    cwd: '/w',
    user: 'me:us',
    labels: { k: 'v' },
    isolation: 'MICROVM_REQUIRED',
    priority: 5,
    startWithinMs: 10_000,
    retentionMs: 3_600_000,
    retryAfterStart: true,
    waitForWorker: true,
    limits: {
      cpuMillis: 1500,
      memoryBytes: 2 ** 28,
      pids: 10,
      diskBytes: 2 ** 30,
      outputBytes: 2 ** 20,
      wallMs: 120_000,
      cpuMs: 1000,
      openFiles: 64,
    },
  })
})

test('what is not said is not sent', () => {
  assert.deepEqual(parse('oci:/i', '--', 'true'), { image: 'oci:/i', args: ['true'], limits: {} })
  assert.deepEqual(parse('--entrypoint', '', 'oci:/i'), { image: 'oci:/i', args: [], entrypoint: [], limits: {} })
})

test('a wrong value names its flag', () => {
  assert.throws(() => parse('--memory', 'lots', 'oci:/i'), /--memory/)
  assert.throws(() => parse('--isolation', 'none', 'oci:/i'), /--isolation/)
})

test('a relative image path is one of this folder', () => {
  assert.equal(absoluteImage('oci:a/b:tag'), `oci:${process.cwd()}/a/b:tag`)
  assert.equal(absoluteImage('oci-archive:/a:tag'), 'oci-archive:/a:tag')
  assert.equal(absoluteImage('busybox'), 'busybox')
})
