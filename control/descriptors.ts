// Descriptors that other languages can link. What proto-loader makes of our files leaves out imports and marks of optional fields, names
// types relatively and map entries wrongly: JavaScript does not mind, but Go (grpcurl) and C++ refuse them.
import type { AnyDefinition, EnumTypeDefinition, MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader'
import descriptor, {
  type IDescriptorProto,
  type IFieldDescriptorProto,
  type IFileDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js'

const { FileDescriptorProto } = descriptor

export function linkable(definition: PackageDefinition): PackageDefinition {
  const files = filesOf(definition)
  for (const file of files) for (const message of file.messageType ?? []) nameMapEntries(message)
  const symbols = symbolsOf(files)
  for (const file of files) link(file, symbols)
  const fileDescriptorProtos = files.map((file) => Buffer.from(FileDescriptorProto.encode(file).finish()))
  const linked: PackageDefinition = { ...definition }
  for (const [name, entry] of Object.entries(definition)) if (isType(entry)) linked[name] = { ...entry, fileDescriptorProtos }
  return linked
}

type AnyType = MessageTypeDefinition<object, object> | EnumTypeDefinition

const isType = (entry: AnyDefinition): entry is AnyType =>
  'fileDescriptorProtos' in entry && Array.isArray(entry.fileDescriptorProtos)

function filesOf(definition: PackageDefinition): IFileDescriptorProto[] {
  const files = new Map<string, IFileDescriptorProto>()
  for (const bytes of Object.values(definition)
    .filter(isType)
    .flatMap(({ fileDescriptorProtos }) => fileDescriptorProtos)) {
    // Of a type known at run time only.
    const file = FileDescriptorProto.decode(bytes) as IFileDescriptorProto
    files.set(file.name ?? '', file)
  }
  return [...files.values()]
}

/** "env" has its entries in a nested type EnvEntry; protobufjs calls it Env. */
function nameMapEntries(message: IDescriptorProto): void {
  for (const nested of message.nestedType ?? []) {
    nameMapEntries(nested)
    const field = nested.options?.mapEntry ? message.field?.find(({ typeName }) => typeName === nested.name) : undefined
    if (!field) continue
    nested.name = `${(field.name ?? '').replace(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase())}Entry`
    field.typeName = nested.name
  }
}

/** Full name of every message and enum (".caisson.v1.Run") → its file. */
function symbolsOf(files: IFileDescriptorProto[]): Map<string, string> {
  const symbols = new Map<string, string>()
  for (const { name = '', package: scope = '', messageType = [], enumType = [] } of files) {
    const add = (prefix: string, message: IDescriptorProto) => {
      const full = `${prefix}.${message.name}`
      symbols.set(full, name)
      for (const { name: nested } of message.enumType ?? []) symbols.set(`${full}.${nested}`, name)
      for (const nested of message.nestedType ?? []) add(full, nested)
    }
    for (const message of messageType) add(`.${scope}`, message)
    for (const { name: type } of enumType) symbols.set(`.${scope}.${type}`, name)
  }
  return symbols
}

/** Full names in place of relative ones, and the imports that follow from them. */
function link(file: IFileDescriptorProto, symbols: Map<string, string>): void {
  const imports = new Set<string>()
  const resolve = (scope: string, name: string): string => {
    const full = name.startsWith('.') ? name : findUpwards(scope, name, symbols)
    const other = symbols.get(full)
    if (other === undefined) throw new Error(`${file.name}: nothing is called ${name}`)
    if (other !== file.name) imports.add(other)
    return full
  }
  const linkMessage = (scope: string, message: IDescriptorProto) => {
    const own = `${scope}.${message.name}`
    for (const field of message.field ?? []) linkField(own, message, field)
    for (const nested of message.nestedType ?? []) linkMessage(own, nested)
  }
  const linkField = (scope: string, message: IDescriptorProto, field: IFieldDescriptorProto) => {
    if (field.typeName) field.typeName = resolve(scope, field.typeName)
    field.jsonName = (field.name ?? '').replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
    // A oneof of one, with a name that nobody may give: what the compiler makes of `optional`.
    const oneof = Object.hasOwn(field, 'oneofIndex') ? message.oneofDecl?.[field.oneofIndex ?? 0]?.name : undefined
    if (oneof?.startsWith('_')) Object.assign(field, { proto3Optional: true })
  }
  const scope = `.${file.package}`
  for (const message of file.messageType ?? []) linkMessage(scope, message)
  for (const { method = [] } of file.service ?? []) {
    for (const one of method) {
      one.inputType = resolve(scope, one.inputType ?? '')
      one.outputType = resolve(scope, one.outputType ?? '')
    }
  }
  file.dependency = [...imports]
}

function findUpwards(scope: string, name: string, symbols: Map<string, string>): string {
  for (let at = scope; at !== ''; at = at.slice(0, at.lastIndexOf('.'))) {
    if (symbols.has(`${at}.${name}`)) return `${at}.${name}`
  }
  return `.${name}`
}
