/** What is quoted or a comment in ClickHouse's SQL, to the end where it is not closed: it may hold any word. */
const quoted =
  /'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|"(?:[^"\\]|\\[\s\S])*(?:"|$)|`(?:[^`\\]|\\[\s\S])*(?:`|$)|--[^\n]*|#[! ][^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g;
/** `format` is also a column of ours: what may follow a column at the end of a query is no name of a format. */
const formatClause = /\bFORMAT\s+(?!(?:ASC|DESC|END|FROM)\b)[A-Za-z_]\w*\s*(?:\bSETTINGS\b.*)?;?\s*$/is;
const outfile = /\bINTO\s+OUTFILE\b/i;

/** Whether a query says in which form, or where to, it wants its answer: `… FORMAT Vertical`, `… INTO OUTFILE 'f'`. */
export function choosesFormat(query: string): boolean {
  const bare = query.replace(quoted, (text) => (/^['"`]/.test(text) ? "''" : ' '));
  return formatClause.test(bare) || outfile.test(bare);
}
