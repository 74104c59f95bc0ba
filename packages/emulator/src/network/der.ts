// Just enough of DER, the byte form of certificates (X.690), to write one. The well-known library for it needs
// a polyfill of the global Reflect, which a package that runs inside other people's tests must not bring.

type Der = Buffer;

/** One element: a tag, the length of what is in it, and what is in it. */
export function element(tag: number, ...content: readonly Uint8Array[]): Der {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag]), length(body.length), body]);
}

export const sequence = (...content: readonly Der[]): Der => element(0x30, ...content);
export const set = (...content: readonly Der[]): Der => element(0x31, ...content);
export const yes: Der = element(0x01, Buffer.from([0xff]));
export const octets = (bytes: Uint8Array): Der => element(0x04, bytes);
export const bits = (bytes: Uint8Array, unused = 0): Der => element(0x03, Buffer.from([unused]), bytes);
export const utf8 = (text: string): Der => element(0x0c, Buffer.from(text));

/** Tagged by its position in the enclosing structure. */
export const constructed = (position: number, ...content: readonly Der[]): Der =>
  element(0xa0 | position, ...content);
export const primitive = (position: number, content: Uint8Array): Der => element(0x80 | position, content);

/** A number that isn't negative, most significant byte first. */
export function integer(bytes: Uint8Array): Der {
  return element(0x02, ...((bytes[0] ?? 0) > 0x7f ? [Buffer.from([0])] : []), bytes);
}

export function oid(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** Two-digit years end with 2049 (RFC 5280, 4.1.2.5). */
export function time(date: Date): Der {
  const digits = `${date.toISOString().replaceAll(/[-:T]|\..*/g, '')}Z`;
  return date.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(digits.slice(2)))
    : element(0x18, Buffer.from(digits));
}

export function pem(label: string, der: Der): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

function length(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size]);
  const bytes = size < 0x100 ? [size] : [size >>> 8, size & 0xff];
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

function base128(number: number): number[] {
  const low = number & 0x7f;
  return number < 0x80 ? [low] : [...base128(number >>> 7).map((byte) => byte | 0x80), low];
}
