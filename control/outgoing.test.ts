import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerWritableStream } from '@grpc/grpc-js'
import { Refusal } from '../proto/reason.js'
import { Gathered } from '../redis/command.js'
import { type Messages, Outgoing } from './outgoing.js'

function outgoing(gone = new AbortController().signal) {
  const written: string[][] = []
  const write = (messages: Messages) => written.push(messages.map(({ parts }) => Buffer.concat(parts).toString()))
  return { out: new Outgoing({ write } as unknown as ServerWritableStream<unknown, Messages>, gone), written }
}

const messages = (...texts: string[]): Messages => texts.map((text) => new Gathered([Buffer.from(text)]))

test('what is held goes out with what is written next, before it', async () => {
  const { out, written } = outgoing()
  out.hold(messages('a', 'b'))
  assert.deepEqual(written, [])
  await out.write(messages('c'))
  await out.write(messages('d'))
  out.flush()
  assert.deepEqual(written, [['a', 'b', 'c'], ['d']])
})

test('alone it goes out in a moment, once', async () => {
  const { out, written } = outgoing()
  out.hold(messages('a'))
  while (written.length === 0) await sleep(1)
  await out.write(messages('b'))
  assert.deepEqual(written, [['a'], ['b']])
})

test('and at the end at once', () => {
  const { out, written } = outgoing()
  out.hold(messages('a'))
  out.flush()
  assert.deepEqual(written, [['a']])
})

test('to nobody once the client is gone', () => {
  const { out, written } = outgoing(AbortSignal.abort())
  out.hold(messages('a'))
  out.flush()
  assert.deepEqual(written, [])
})

test('but what is held also when control ends the call itself', () => {
  const { out, written } = outgoing(AbortSignal.abort(new Refusal('SHUTTING_DOWN', 'this server shuts down')))
  out.hold(messages('a'))
  out.flush()
  assert.deepEqual(written, [['a']])
})
