import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ProcessDefaults } from './documents/config.js'
import { ImageError } from './failure.js'
import { processOf } from './process.js'

const image: ProcessDefaults = {
  entrypoint: ['python3'],
  cmd: ['/app/main.py'],
  env: ['PATH=/bin', 'A=1'],
  workingDir: '/app',
  user: 'app',
}
const plain: ProcessDefaults = { entrypoint: [], cmd: [], env: [], workingDir: '', user: '' }

test("nothing wished: the image's own", () => {
  assert.deepEqual(processOf(image, {}), {
    args: ['python3', '/app/main.py'],
    env: ['PATH=/bin', 'A=1'],
    cwd: '/app',
    user: 'app',
  })
})

test('args replace Cmd and follow Entrypoint', () => {
  assert.deepEqual(processOf(image, { args: ['-c', 'pass'] }).args, ['python3', '-c', 'pass'])
})

test('an entrypoint replaces Entrypoint, and Cmd is not used', () => {
  assert.deepEqual(processOf(image, { entrypoint: { words: ['/bin/sh'] } }).args, ['/bin/sh'])
  assert.deepEqual(processOf(image, { entrypoint: { words: [] }, args: ['ls'] }).args, ['ls'])
})

test('no command anywhere names spec.args', () => {
  const isMissing = (error: unknown) =>
    error instanceof ImageError && error.reason === 'COMMAND_MISSING' && error.field === 'spec.args'
  assert.throws(() => processOf(plain, {}), isMissing)
  assert.throws(() => processOf(image, { entrypoint: { words: [] } }), isMissing)
  assert.throws(() => processOf(plain, { args: [''] }), isMissing)
})

test('a variable of the run replaces that of the image where it stands', () => {
  assert.deepEqual(processOf(image, { env: { B: '2', A: '', PATH: '/x' } }).env, ['PATH=/x', 'A=', 'B=2'])
})

test('without a PATH there is the usual one; entries that name nothing are left out', () => {
  const { env } = processOf({ ...plain, env: ['NOTHING', '=x', 'A=1', 'A=2'] }, { args: ['x'] })
  assert.deepEqual(env, ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=2'])
})

test('a relative WorkingDir begins at the root; none is the root', () => {
  assert.equal(processOf({ ...plain, workingDir: 'srv/x/' }, { args: ['x'] }).cwd, '/srv/x')
  assert.equal(processOf(plain, { args: ['x'] }).cwd, '/')
  assert.equal(processOf(image, { cwd: '/tmp' }).cwd, '/tmp')
})

test('what does not fit into a frame is refused with both sizes', () => {
  assert.throws(
    () => processOf({ ...plain, env: [`A=${'x'.repeat(1 << 20)}`] }, { args: ['x'] }),
    /1048\d+ bytes: at most 1040384/,
  )
})

test('whatever image and run say: a command, each variable once, an absolute cwd; or an ImageError', () => {
  const words = fc.array(fc.string(), { maxLength: 5 })
  const defaults = fc.record({ entrypoint: words, cmd: words, env: words, workingDir: fc.string(), user: fc.string() })
  const env = fc.dictionary(
    fc.string().filter((name) => name !== '' && !name.includes('=')),
    fc.string(),
  )
  const wishes = fc.record({ args: words, entrypoint: fc.option(fc.record({ words })), env, cwd: fc.string(), user: fc.string() })
  fc.assert(
    fc.property(defaults, wishes, (defaults, wishes) => {
      try {
        const process = processOf(defaults, wishes)
        const names = process.env.map((entry) => entry.slice(0, entry.indexOf('=')))
        assert.ok(process.args.length > 0 && process.args[0] !== '')
        assert.equal(new Set(names).size, names.length)
        for (const [name, value] of Object.entries(wishes.env)) assert.ok(process.env.includes(`${name}=${value}`))
        assert.ok(process.cwd.startsWith('/'))
        assert.equal(process.user, wishes.user || defaults.user)
      } catch (error) {
        assert.ok(error instanceof ImageError)
      }
    }),
  )
})
