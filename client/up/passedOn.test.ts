import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { addPassedOn, judge, passedOn } from './passedOn.js'

function parse(...args: string[]) {
  const command = new Command('up')
  addPassedOn(command)
  return passedOn(command.parse(args, { from: 'user' }).opts())
}

test('each part gets its own flags, in its own spelling', () => {
  const { workerArgs, controlArgs } = parse('--max-pids', '64', '--pool', '4', '--drain-ms', '100', '--max-waiting-runs', '9')
  assert.deepEqual(workerArgs, ['--pool=4', '--drain-ms=100'])
  assert.deepEqual(controlArgs, ['--max-waiting-runs=9', '--max-pids=64'])
  judge({ listen: '127.0.0.1:1', name: 'x', workerArgs, controlArgs })
})

test('what is said of registries may be said several times', () => {
  const { workerArgs } = parse(
    '--registry-allow',
    'a.example',
    'b.example:5000',
    '--registry-mirror',
    'docker.io=https://m.example',
  )
  const expected = [
    '--registry-mirror=docker.io=https://m.example',
    '--registry-allow=a.example',
    '--registry-allow=b.example:5000',
  ]
  assert.deepEqual(workerArgs, expected)
  judge({ listen: '127.0.0.1:1', name: 'x', workerArgs, controlArgs: [] })
  const wrong = { workerArgs: ['--registry-mirror', 'docker.io'], controlArgs: [] }
  assert.throws(() => judge({ listen: '127.0.0.1:1', name: 'x', ...wrong }), /HOST=URL/)
})

test('what control or worker would refuse is refused before anything starts', () => {
  const none = { workerArgs: [], controlArgs: [] }
  assert.throws(() => judge({ listen: '0.0.0.0:1', name: 'x', ...none }), /loopback/)
  assert.throws(() => judge({ listen: '127.0.0.1:0', name: 'x', ...none }), /--listen.*port 0/)
  assert.throws(() => judge({ listen: '127.0.0.1:1', name: '../x', ...none }), /--name/)
  assert.throws(() => judge({ listen: '127.0.0.1:1', name: 'x', controlArgs: [], workerArgs: ['--pool', 'x'] }), /--pool/)
  // What looks like a flag is a value here too.
  assert.throws(() => judge({ listen: '127.0.0.1:1', name: 'x', ...parse('--pool=-1') }), /--pool.*'?-1/s)
})
