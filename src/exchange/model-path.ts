/** Models that a path names. */

/** Letters, digits and what ids and ARNs are made of. No percent sign: a name that was encoded twice is none. */
const modelName = /^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,1023}$/;

/**
 * The model in a segment of a path, percent-decoded; undefined where it is none. `slashes`: whether it may have slashes
 * (encoded ones: an ARN has them).
 */
export function modelOfSegment(segment: string, slashes: boolean): string | undefined {
  let model: string;
  try {
    model = decodeURIComponent(segment);
  } catch {
    return undefined;
  }
  if (!modelName.test(model)) return undefined;
  if (!slashes) return model.includes('/') ? undefined : model;
  return model.split('/').some((part) => part === '' || part === '.' || part === '..') ? undefined : model;
}
