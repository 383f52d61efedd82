// A Python client, which learns the service by reflection, submits a run and streams its events.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { Fixture } from '../harness/fixture.js'
import { busybox } from '../harness/images.js'
import { pythonClient } from '../harness/tools.js'

const fixture = await Fixture.start()

test('a run, its events, its input and a refusal', { timeout: 60_000 }, () => {
  const output = execFileSync(pythonClient, ['test/harness/python/client.py', fixture.instance.address, busybox], {
    encoding: 'utf8',
    timeout: 50_000,
  })
  const [ran, attached, refused] = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(ran, {
    states: ['QUEUED', 'PREPARING', 'STARTING', 'RUNNING'],
    stdout: 'hello\n',
    stderr: 'oops\n',
    outcome: 'EXITED',
    exit_code: 3,
  })
  assert.deepEqual(attached, { accepted_bytes: 11, stdout: 'hello world', outcome: 'EXITED' })
  assert.deepEqual(refused, { code: 'INVALID_ARGUMENT', details: true })
})
