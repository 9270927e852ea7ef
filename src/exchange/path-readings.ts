/**
 * What servers could read in a path. Routers differ: in case, in slashes at the end, doubled or backward, in `;…` parameters
 * (RFC 3986, section 3.3), in dots and blanks at the end of a segment, in what they decode, how often and before what.
 */

/** A path that was encoded more often than this is none that a server decodes. */
const mostDecodings = 4;
const encoded = /(?:%[0-9a-f]{2})+/gi;
const control = /\p{Cc}/u;
const unseen = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Mn}\p{Me}]/gu;

/**
 * The path as lenient servers read it: decoded, in lower case, without what they leave out. More than one where some end it at
 * a `?` or `#` that was encoded. Undefined where nobody knows what is read: what is not percent-encoded UTF-8, control
 * characters, and dot segments, which Envoy has resolved unless they were encoded twice. Linear in the length of the path.
 */
export function pathReadings(path: string): readonly string[] | undefined {
  let text: string;
  try {
    text = decodeURIComponent(path);
  } catch {
    return undefined;
  }
  for (let times = 1; times < mostDecodings && text.includes('%'); times++)
    text = text.replace(encoded, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
  if (control.test(text)) return undefined;
  // Upper case first: some letters have a twin in it only (`ı`, `ſ`).
  const folded = text.normalize('NFKC').toUpperCase().toLowerCase().replace(unseen, '').replaceAll('\\', '/');
  const [cut = ''] = folded.split(/[?#]/, 1);
  const readings: string[] = [];
  for (const reading of new Set([folded, cut])) {
    const segments = reading.split('/').map((segment) => segment.split(';', 1)[0]!.trim());
    const bare = segments.map(withoutEnd);
    // Nothing but dots.
    if (segments.some((segment, i) => segment !== '' && bare[i] === '')) return undefined;
    readings.push(`/${bare.filter((segment) => segment !== '').join('/')}`);
  }
  return readings;
}

/** A segment without the dots and blanks at its end. */
function withoutEnd(segment: string): string {
  let end = segment.length;
  while (end > 0 && (segment[end - 1] === '.' || segment[end - 1]!.trim() === '')) end--;
  return segment.slice(0, end);
}

/** Whether a reading is a known path, or ends with it: servers mount an API below a prefix. `*` in `known` is anything but nothing. */
export function endsLike(reading: string, known: string): boolean {
  const [head = '', tail] = known.toLowerCase().split('*');
  if (tail === undefined) return reading.endsWith(head);
  const at = reading.indexOf(head);
  return at >= 0 && reading.endsWith(tail) && at + head.length < reading.length - tail.length;
}
