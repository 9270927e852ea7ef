/** How files of media and of office programs begin. Sources: the formats' own specifications; `file`'s magic(5). */

interface Magic {
  /** Bytes from the beginning. */
  readonly at: number;
  readonly bytes: readonly number[];
}

const ascii = (text: string, at = 0): Magic => ({ at, bytes: [...Buffer.from(text, 'latin1')] });

const magics: readonly Magic[] = [
  // Images: PNG, GIF, JPEG, TIFF, ICO, JPEG XL, JPEG 2000. HEIC and AVIF begin as MP4 does.
  ascii('\x89PNG\r\n\x1a\n'),
  ascii('GIF87a'),
  ascii('GIF89a'),
  ascii('\xff\xd8\xff'),
  ascii('II*\0'),
  ascii('MM\0*'),
  ascii('\0\0\x01\0'),
  ascii('\xff\x0a'),
  ascii('\0\0\0\x0cJXL '),
  ascii('\0\0\0\x0cjP  '),
  // Sound and moving images: ID3, Ogg, FLAC, MP4, WebM and Matroska, AMR, CAF, MPEG, ASF.
  ascii('ID3'),
  ascii('OggS'),
  ascii('fLaC'),
  ascii('ftyp', 4),
  ascii('\x1a\x45\xdf\xa3'),
  ascii('#!AMR'),
  ascii('caff'),
  ascii('\0\0\x01\xba'),
  ascii('\0\0\x01\xb3'),
  ascii('\x30\x26\xb2\x75'),
  // Files: PDF, ZIP (and the office formats in it), older office formats, gzip.
  ascii('%PDF-'),
  ascii('PK\x03\x04'),
  ascii('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'),
  ascii('\x1f\x8b\x08'),
];
/** A container says further on what it is. */
const containers: readonly (readonly [Magic, Magic])[] = [
  ...['WEBP', 'WAVE', 'AVI '].map((kind) => [ascii('RIFF'), ascii(kind, 8)] as const),
  ...['AIFF', 'AIFC'].map((kind) => [ascii('FORM'), ascii(kind, 8)] as const),
  // A bitmap's reserved fields are zero.
  [ascii('BM'), ascii('\0\0\0\0', 6)],
];

/** Whether these first bytes of a file (16 at least, where it has them) are those of media, a PDF, an archive or an office file. */
export function isMediaMagic(head: Uint8Array): boolean {
  const has = ({ at, bytes }: Magic): boolean => bytes.every((byte, i) => head[at + i] === byte);
  return magics.some(has) || containers.some((both) => both.every(has)) || isMpegFrame(head);
}

/** MP3 and AAC without a header: a frame of ISO 11172-3 (12 bits set, no reserved layer, bit rate or sampling rate) or of ADTS. */
function isMpegFrame(head: Uint8Array): boolean {
  const [first = 0, second = 0, third = 0] = head;
  if (first !== 0xff || (second & 0xe0) !== 0xe0) return false;
  const layer = (second >> 1) & 3;
  if (layer === 0) return (second & 0xf6) === 0xf0;
  return (second & 0x18) !== 0x08 && layer !== 3 && third >> 4 !== 0x0f && ((third >> 2) & 3) !== 3;
}
