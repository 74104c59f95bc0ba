import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  bits,
  constructed,
  integer,
  octets,
  oid,
  pem,
  primitive,
  sequence,
  set,
  time,
  utf8,
  yes,
} from './der.ts';

/** A certificate and its private key, both PEM. */
export interface Certified {
  readonly certificate: string;
  readonly privateKey: string;
}

const dayMs = 86_400_000;
const loopback = Buffer.from([127, 0, 0, 1]);
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const authorityName = commonName('Keyturn emulator CA (local development only)');

/** The names under which the emulator stands in for Azure; those with a star are for everything below, too. */
const azureNames = [
  '*.vault.azure.net',
  'login.microsoftonline.com',
  'login.windows.net',
  'graph.microsoft.com',
  'management.azure.com',
  '*.blob.core.windows.net',
];

/**
 * A certificate authority of its own, which lives for ten years. It is good for the names that the emulator stands
 * in for and the loopback interface only. Sign-ins go to some of these names, so a process should trust it, and
 * never a whole machine.
 */
export function createAuthority(now: Date): Certified {
  const keys = newKeys();
  return certified(keys.privateKey, {
    signedWith: keys.privateKey,
    subject: authorityName,
    days: 3_650,
    now,
    extensions: [
      critical('2.5.29.19', sequence(yes, integer(Buffer.from([0])))), // a CA, for leaves only
      critical('2.5.29.15', bits(Buffer.from([0x06]), 1)), // signs certificates and revocations
      critical(
        '2.5.29.30', // names it may certify
        sequence(
          constructed(
            0,
            ...azureNames.map((name) => sequence(dnsName(name.replace('*.', '')))),
            sequence(dnsName('localhost')),
            sequence(primitive(7, Buffer.concat([loopback, Buffer.alloc(4, 0xff)]))),
          ),
        ),
      ),
      extension('2.5.29.14', octets(keyId(keys.publicKey))),
    ],
  });
}

/** A server certificate for all of these names and for the loopback interface. */
export function createServerCertificate(authority: Certified, now: Date): Certified {
  const keys = newKeys();
  const authorityKey = createPrivateKey(authority.privateKey);
  return certified(keys.privateKey, {
    signedWith: authorityKey,
    subject: commonName('*.vault.azure.net'),
    // Some systems refuse server certificates that live for longer than 825 days.
    days: 820,
    now,
    extensions: [
      critical('2.5.29.19', sequence()), // not a CA
      critical('2.5.29.15', bits(Buffer.from([0x80]), 7)), // signs handshakes
      extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'))), // of servers
      extension(
        '2.5.29.17',
        sequence(...[...azureNames, 'localhost', '*.vault.localhost'].map(dnsName), primitive(7, loopback)),
      ),
      extension('2.5.29.35', sequence(primitive(0, keyId(createPublicKey(authorityKey))))),
      extension('2.5.29.14', octets(keyId(keys.publicKey))),
    ],
  });
}

interface Contents {
  readonly signedWith: KeyObject;
  readonly subject: Buffer;
  readonly days: number;
  readonly now: Date;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280, 4.1. */
function certified(privateKey: KeyObject, contents: Contents): Certified {
  const start = contents.now.getTime();
  const content = sequence(
    constructed(0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ecdsaWithSha256,
    authorityName,
    // A day in hand for clocks that are behind.
    sequence(time(new Date(start - dayMs)), time(new Date(start + contents.days * dayMs))),
    contents.subject,
    publicKeyInfo(createPublicKey(privateKey)),
    constructed(3, sequence(...contents.extensions)),
  );
  const signature = sign('sha256', content, contents.signedWith);
  return {
    certificate: pem('CERTIFICATE', sequence(content, ecdsaWithSha256, bits(signature))),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicKeyInfo = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
// The uncompressed point is the last 65 bytes of a P-256 key.
const keyId = (key: KeyObject): Buffer =>
  createHash('sha1').update(publicKeyInfo(key).subarray(-65)).digest();

const extension = (id: string, content: Buffer): Buffer => sequence(oid(id), octets(content));
const critical = (id: string, content: Buffer): Buffer => sequence(oid(id), yes, octets(content));
const dnsName = (name: string): Buffer => primitive(2, Buffer.from(name));

function commonName(name: string): Buffer {
  return sequence(set(sequence(oid('2.5.4.3'), utf8(name))));
}
