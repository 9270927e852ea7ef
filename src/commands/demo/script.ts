/**
 * What the demo model says. Everything in it is made up: the numbers are those that issuers publish for tests, the keys are
 * the examples of their makers' documentation.
 */
export const script = [
  'I am a script, not a model: I repeat what I was asked, and recite a customer record.',
  'The customer is Maria Lindqvist, maria.lindqvist@example.org, phone +1 (415) 555-0132 or +49 30 901820.',
  'She pays with card 4111 1111 1111 1111 (before that 5500-0000-0000-0004), IBAN DE89 3704 0044 0532 0130 00.',
  'Her social security number is 219-09-9999. She last signed in from 203.0.113.42 and 2001:db8:85a3::8a2e:370:7334.',
  'The deploy bot uses AWS key AKIAIOSFODNN7EXAMPLE and the GitHub token ghp_16C7e42F292c6912E7710c838347Ae178B4a.',
  'Order 20240017 of 3 items ships on 2025-02-28; its total is 1,249.00 EUR.',
].join(' ');

/** An answer to the last thing that was asked. */
export const answerTo = (question: string): string => (question === '' ? script : `${script} You asked: "${question}"`);

/** What the script puts into a tool's argument, by the type of its JSON Schema and its name. */
export function argumentFor(name: string, type: string): unknown {
  if (type === 'integer' || type === 'number') return 42;
  if (type === 'boolean') return true;
  if (type === 'array') return ['maria.lindqvist@example.org'];
  if (type === 'object') return { note: 'call +1 (415) 555-0132' };
  return /mail|to|recipient/i.test(name) ? 'maria.lindqvist@example.org' : `${name} for card 4111 1111 1111 1111`;
}
