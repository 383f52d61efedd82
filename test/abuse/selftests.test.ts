import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeSelftest, isUnexplained, readSelftests } from './selftests.js'

const output = `== openat2_test 0
ok 1 one
ok 2 two
== pidfd_test 0
ok 1 one
ok 2 # SKIP Unsharing pid namespace not permitted
== fs_test 1
# /src/selftests/landlock/common.h:132:inval:Expected -1 (-1) != cap_set_proc(cap_p) (-1)
not ok 1 layout1.inval
# /src/selftests/landlock/common.h:132:inval:Expected -1 (-1) != cap_set_proc(cap_p) (-1)
not ok 2 layout1.other
== owner 1
main:43: Operation not permitted
== resolve_test 124
== surprise 1
== nsfs 4
`

test('each program of the kernel\u2019s tests is counted, with its own first complaint', () => {
  const read = readSelftests(output)
  const counts = read.map(({ name, passed, failed, skipped, cut }) => [name, passed, failed, skipped, cut])
  assert.deepEqual(counts, [
    ['openat2_test', 2, 0, 0, undefined],
    ['pidfd_test', 1, 0, 1, undefined],
    ['fs_test', 0, 2, 0, undefined],
    ['owner', 0, 1, 0, undefined],
    ['resolve_test', 0, 0, 0, 'took too long'],
    ['surprise', 0, 1, 0, undefined],
    ['nsfs', 0, 0, 1, undefined],
  ])
  assert.equal(read[2]?.complaint, 'landlock/common.h:132:inval:Expected -1 (-1) != cap_set_proc(cap_p) (-1)')
  assert.equal(read[3]?.complaint, 'main:43: Operation not permitted')
})

test('who fails without a known reason stands out', () => {
  const read = readSelftests(output)
  assert.deepEqual(
    read.filter(isUnexplained).map(({ name }) => name),
    ['surprise'],
  )
  assert.match(describeSelftest(read[5] ?? assert.fail()), /NOT EXPLAINED/)
})
