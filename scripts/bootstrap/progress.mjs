const tickMs = 1000;

/**
 * Shows one step on stderr: a line that counts seconds on a terminal, one line at the start and one at the end elsewhere.
 * @template T
 * @param {string} doing what is happening, such as `Installing node_modules (about 35 s the first time)`
 * @param {string} done what is there afterwards
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(doing, done, work) {
  const out = process.stderr;
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  const show = () => out.write(`\r\x1b[K  … ${doing} ${seconds()} s`);
  if (!out.isTTY) out.write(`  … ${doing}\n`);
  const timer = out.isTTY ? setInterval(show, tickMs) : undefined;
  if (out.isTTY) show();
  try {
    const result = await work();
    out.write(`${out.isTTY ? '\r\x1b[K' : ''}  ✓ ${done} (${seconds()} s)\n`);
    return result;
  } catch (error) {
    out.write(`${out.isTTY ? '\r\x1b[K' : ''}  ✗ ${doing}\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}
