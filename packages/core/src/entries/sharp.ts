export { createSharpCodec } from '../image/codecs/sharp.ts';
export { createFileSink, decodeToFile, type FileOptions, type FileSink, type FileSource } from '../image/raw-file.ts';
