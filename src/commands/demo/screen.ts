/** The screen of `up --demo`: where everything is, what to paste, what to try next. Plain text, 100 columns. */
export function screen(addresses: Readonly<Record<string, string>>, logFile: string): string {
  const base = `${addresses['envoy'] ?? 'http://127.0.0.1:10000'}/v1`;
  const places = [
    ['Models through the gateway', base],
    ['Public', addresses['public']],
    ['Health and metrics', addresses['internal'] && `${addresses['internal']}/readyz  /metrics`],
    ['Log', logFile],
  ].filter((place): place is [string, string] => place[1] !== undefined);
  return `
Sallyport is up. Ctrl-C stops everything.

${places.map(([name, where]) => `  ${name.padEnd(28)}${where}`).join('\n')}

Ask the demo model (a script), as sam. In another terminal, in this folder:

  curl -N ${base}/chat/completions \\
    -H "Authorization: Bearer $(npx sallyport token --as sam)" \\
    -H 'Content-Type: application/json' \\
    -d '{"model":"demo","stream":true,"messages":[{"role":"user","content":"Who is the customer?"}]}'

Python (pip install openai):

  import subprocess
  from openai import OpenAI
  token = subprocess.check_output(["npx", "sallyport", "token", "--as", "sam"], text=True).strip()
  client = OpenAI(base_url="${base}", api_key=token)
  for event in client.chat.completions.create(model="demo", stream=True,
          messages=[{"role": "user", "content": "Who is the customer?"}]):
      print(event.choices[0].delta.content or "", end="")

TypeScript (npm install openai):

  import { execFileSync } from 'node:child_process';
  import OpenAI from 'openai';
  const apiKey = execFileSync('npx', ['sallyport', 'token', '--as', 'sam'], { encoding: 'utf8' }).trim();
  const client = new OpenAI({ baseURL: '${base}', apiKey });
  const stream = await client.chat.completions.create({ model: 'demo', stream: true,
    messages: [{ role: 'user', content: 'Who is the customer?' }] });
  for await (const event of stream) process.stdout.write(event.choices[0]?.delta.content ?? '');

What to try next:

  the same with --as jane             jane is cleared for personal data: less is masked
  npx sallyport login                 sign in as your users will (--device without a browser)
  npx sallyport token                 then: a token of the gateway's own, renewed when it expires
  npx sallyport proxy                 a local address and key for tools that cannot renew one
  "Charge 4111 1111 1111 1111"        as sam: refused, and the error has an ID
  npx sallyport explain ID            why it was refused, and who can change that
  npx sallyport sessions list         all of these requests are on the record
  npx sallyport sessions show ID      who, what, which rule, how long, and the texts
  npx sallyport sql 'SELECT subject, verdict, count() FROM sessions GROUP BY ALL'
  npx sallyport policy backtest       what your policies would have said of them
  npx sallyport doctor                looks at each part, and for ways around the gateway
`;
}
