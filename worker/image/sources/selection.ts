import { ImageError } from '../failure.js'

const shown = 20

/** When a tag fits none of the images in a place, or no tag says which of several is meant. */
export function selectionError(path: string, wanted: string | undefined, matches: number, names: string[]): ImageError {
  const distinct = [...new Set(names)]
  const list = distinct.slice(0, shown).join(', ') + (distinct.length > shown ? ` and ${distinct.length - shown} more` : '')
  const offer = list === '' ? 'none there has a name' : `there are: ${list}`
  const what =
    matches === 0
      ? wanted === undefined
        ? 'holds no image'
        : `holds no image ${wanted}`
      : 'holds several images, and spec.image does not say which'
  return new ImageError('IMAGE_NOT_FOUND', `spec.image: ${path} ${what}; ${offer}`, { field: 'spec.image' })
}
