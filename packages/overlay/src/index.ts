export { type ByteString, fromBuffer, fromText, toBuffer, toText } from './sys/bytes.ts';
