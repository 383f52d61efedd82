import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metadata } from '@grpc/grpc-js'
import fc from 'fast-check'
import { Tenants, TokenFileError } from './tenants.js'

const [one, two] = ['a'.repeat(16), 'b'.repeat(16)]

function calling(...headers: string[]): Metadata {
  const metadata = new Metadata()
  for (const header of headers) metadata.add('authorization', header)
  return metadata
}

test('a line is a token, a tenant and what is granted to it', () => {
  const tenants = Tenants.parse(`# ours\n\n${one}\n  ${two}\tci CAP_KILL  CAP_CHOWN \r\n`)
  assert.deepEqual(tenants.of(calling(`Bearer ${one}`)), { name: 'default', capabilities: new Set() })
  assert.deepEqual(tenants.of(calling(`Bearer ${two}`)), { name: 'ci', capabilities: new Set(['CAP_KILL', 'CAP_CHOWN']) })
})

test('a call with no token, another, or two is nobody', () => {
  const tenants = Tenants.parse(one)
  const strange = [[], [one], [`Bearer ${two}`], [`bearer ${one}`], [`Bearer ${one} `], [`Bearer ${one}`, `Bearer ${one}`]]
  for (const headers of strange) assert.equal(tenants.of(calling(...headers)), undefined, headers.join(', '))
})

test('what is wrong is told by its line, and never the token', () => {
  for (const [text, message] of [
    ['\n# only this\n', /^holds no token$/],
    ['secret-short', /^line 1 must begin with a token of 16 to 4,096/],
    [`${one} Upper`, /^line 1 must name its tenant/],
    [`${one}\n${two} ci CAP_SYS_ADMIN`, /^line 2 grants CAP_SYS_ADMIN, which no run can have$/],
    [`${one}\n${one} ci`, /^line 2 has the token of a line before$/],
  ] as const) {
    assert.throws(
      () => Tenants.parse(text),
      (error) =>
        error instanceof TokenFileError &&
        message.test(error.message) &&
        !error.message.includes('secret') &&
        !error.message.includes(one),
      text,
    )
  }
})

test('any file is taken or refused', () => {
  const line = fc.array(fc.oneof(fc.constantFrom(one, two, 'ci', 'CAP_KILL', '#'), fc.string()), { maxLength: 4 })
  const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.map((words) => words.join(' ')).join('\n'))
  fc.assert(
    fc.property(text, (text) => {
      try {
        Tenants.parse(text)
      } catch (error) {
        assert.ok(error instanceof TokenFileError)
      }
    }),
  )
})
