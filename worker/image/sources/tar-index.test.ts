import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ImageError } from '../failure.js'
import { tarOf } from '../fixture.js'
import { indexTar } from './tar-index.js'

const index = (tar: Buffer) => indexTar(async (offset, length) => tar.subarray(offset, offset + length), tar.length)

const refused = (message: RegExp) => (error: unknown) => error instanceof ImageError && message.test(error.message)

function header(change: (block: Buffer) => void): Buffer {
  const block = Buffer.alloc(512)
  block.write('name', 0)
  block.write('00000000000\0', 124)
  block.write('0', 156)
  block.write('ustar\x0000', 257)
  change(block)
  block.fill(' ', 148, 156)
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  return block
}

test('members by name, with what lies where', async () => {
  const long = `${'d'.repeat(120)}/${'e'.repeat(120)}/f`
  const tar = await tarOf([
    { name: './a/', type: 'directory' },
    { name: './a/b', data: 'hello' },
    { name: long, data: 'x'.repeat(1000) },
    { name: 'a/link', type: 'symlink', linkname: '../c/d' },
    { name: 'hard', type: 'link', linkname: './a/b' },
    { name: 'twice', data: '1' },
    { name: 'twice', data: '22' },
    { name: '../out', data: 'x' },
  ])
  const members = await index(tar)
  assert.deepEqual([...members.keys()], ['a/b', long, 'a/link', 'hard', 'twice'])
  const file = members.get('a/b')
  assert.ok(file?.kind === 'file')
  assert.equal(tar.toString('utf8', file.offset, file.offset + file.size), 'hello')
  assert.deepEqual(members.get('a/link'), { kind: 'link', target: 'c/d' })
  assert.deepEqual(members.get('hard'), { kind: 'link', target: 'a/b' })
  assert.equal((members.get('twice') as { size: number }).size, 2)
})

test('sizes: base 256, and pax over the header', async () => {
  const big = header((block) => {
    block.fill(0, 124, 136)
    block[124] = 0x80
    block.writeUInt32BE(600, 132)
  })
  const members = await index(Buffer.concat([big, Buffer.alloc(1024)]))
  assert.equal((members.get('name') as { size: number }).size, 600)
  const record = '13 size=1000\n'
  const pax = header((block) => {
    block.write('x', 156)
    block.write(record.length.toString(8).padStart(11, '0'), 124)
  })
  const archive = Buffer.concat([pax, Buffer.from(record.padEnd(512, '\0')), header(() => {}), Buffer.alloc(1024)])
  assert.equal(((await index(archive)).get('name') as { size: number }).size, 1000)
})

test('a folder has no data, whatever its size says', async () => {
  const folder = header((block) => {
    block.write('5', 156)
    block.write('00000001000\0', 124)
  })
  assert.deepEqual([...(await index(Buffer.concat([folder, header(() => {}), Buffer.alloc(1024)]))).keys()], ['name'])
})

const sizeOf = (octal: string) => (block: Buffer) => void block.write(octal, 124)
const broken: [string, Buffer, RegExp][] = [
  ['cut in a header', header(() => {}).subarray(0, 300), /truncated/],
  ['cut in its data', header(sizeOf('00000001000\0')), /truncated/],
  ['a size beyond all disks', header(sizeOf('77777777777\0')), /truncated/],
  ['a size that is no number', header(sizeOf('0000000zz00\0')), /bad size/],
  ['a negative size', header((block) => block.fill(0xff, 124, 136)), /bad size/],
  ['a wrong checksum', Buffer.alloc(512, 'x'), /bad checksum/],
  ['gzip', Buffer.concat([Buffer.from([0x1f, 0x8b, 8]), Buffer.alloc(509, 1)]), /compressed/],
  ['sparse', header((block) => block.write('S', 156)), /sparse/],
]
for (const [what, tar, message] of broken) {
  test(`refused: ${what}`, () => assert.rejects(index(tar), refused(message)))
}

test('refused: a pax header of 2 MiB', async () => {
  const pax = header((block) => {
    block.write('x', 156)
    block.write((2 << 20).toString(8).padStart(11, '0'), 124)
  })
  await assert.rejects(index(Buffer.concat([pax, Buffer.alloc(3 << 20)])), refused(/at most 1048576/))
})

test('refused: a million members, with the memory of none', async () => {
  const block = header(() => {})
  let bytesRead = 0
  const endless = async (_: number, length: number) => {
    bytesRead += length
    return Buffer.alloc(length, block)
  }
  await assert.rejects(indexTar(endless, 512 * 1_000_000), refused(/more than 100000 members/))
  assert.ok(bytesRead < 60 << 20)
})

test('any bytes give an index or an ImageError, and members that lie inside', async () => {
  const real = await tarOf([
    { name: 'a', data: 'hello' },
    { name: 'é'.repeat(150), data: 'x'.repeat(600) },
    { name: 'l', type: 'symlink', linkname: 'a' },
  ])
  const mutated = fc
    .array(fc.tuple(fc.nat(real.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 4 })
    .map((changes) => {
      const tar = Buffer.from(real)
      for (const [at, byte] of changes) tar.writeUInt8(byte, at)
      return tar
    })
  // With a checksum that holds, so that the fields behind it are reached.
  const checked = fc
    .uint8Array({ minLength: 512, maxLength: 512 })
    .map((bytes) => header((block) => void Buffer.from(bytes).copy(block)))
  const mended = fc.array(checked, { maxLength: 6 }).map((blocks) => Buffer.concat(blocks))
  const cut = fc.nat(real.length).map((length) => real.subarray(0, length))
  const raw = fc.uint8Array({ maxLength: 2048 }).map((bytes) => Buffer.from(bytes))
  const property = fc.asyncProperty(fc.oneof(mutated, mended, cut, raw), async (tar) => {
    try {
      for (const member of (await index(tar)).values()) {
        if (member.kind === 'file') assert.ok(member.size >= 0 && member.offset + member.size <= tar.length)
      }
    } catch (error) {
      assert.ok(error instanceof ImageError, `${error}`)
    }
  })
  await fc.assert(property, { numRuns: Number(process.env['FUZZ_RUNS'] ?? 2000) })
})
