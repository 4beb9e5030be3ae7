/** Names in JSON: text, and beside it the bytes in base64 where the name is no UTF-8. */
import { type ByteString, fromText, toBuffer, toText } from 'stratafs/internal/sys/bytes';

/** `{ path: 'text' }`, or `{ path: 'te\ufffdt', pathBase64: '…' }`. */
export function bytesField(key: string, bytes: ByteString): Record<string, string> {
  const text = toText(bytes);
  if (fromText(text) === bytes) return { [key]: text };
  return { [key]: text, [`${key}Base64`]: toBuffer(bytes).toString('base64') };
}
