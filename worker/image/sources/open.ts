import { posix } from 'node:path'
import type { FileReference } from '../../../proto/reference.js'
import { Archive } from './archive.js'
import { DockerArchive } from './docker-archive.js'
import type { ImageFolders } from './folders.js'
import { OciLayout } from './oci-layout.js'
import type { Source } from './source.js'

/** The one place that knows which kinds of file there are. */
export async function openSource({ kind, path }: FileReference, folders: ImageFolders): Promise<Source<FileReference>> {
  if (kind === 'oci') return new OciLayout(folders.folder(path))
  const archive = await Archive.index(await folders.file(path))
  return kind === 'oci-archive' ? new OciLayout(archive) : new DockerArchive(archive)
}

/** While this file stays the same, the reference means the same image. */
export const indexFile = ({ kind, path }: FileReference): string => (kind === 'oci' ? posix.join(path, 'index.json') : path)
