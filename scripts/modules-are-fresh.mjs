// Exits 0 when node_modules holds exactly the versions of package-lock.json.
import { readFileSync } from 'node:fs'

const read = (path) => JSON.parse(readFileSync(path, 'utf8')).packages

try {
  const wanted = read('package-lock.json')
  const present = read('node_modules/.package-lock.json')
  const stale = Object.entries(wanted).filter(
    // Optional ones are often of another platform.
    ([path, entry]) => path !== '' && present[path]?.version !== entry.version && !(entry.optional && !present[path]),
  )
  process.exitCode = stale.length === 0 ? 0 : 1
} catch (error) {
  if (error.code !== 'ENOENT') throw error
  process.exitCode = 1
}
