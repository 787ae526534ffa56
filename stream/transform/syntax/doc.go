// Package syntax reads the text of an expression: SQL scalar expressions, with the place of every part.
//
//	or      = and { OR and }
//	and     = not { AND not }
//	not     = [ NOT ] compare
//	compare = sum [ op sum | IS [NOT] NULL | [NOT] IN (…) | [NOT] BETWEEN sum AND sum | [NOT] LIKE sum [ESCAPE sum] ]
//	op      = "=" | "<>" | "!=" | "<" | "<=" | ">" | ">="
//	sum     = product { ("+" | "-" | "||") product }
//	product = unary { ("*" | "/" | "%") unary }
//	unary   = [ "-" | "+" ] unary | primary
//	primary = literal | column | function(…) | CASE … END | CAST(… AS type) | TRY_CAST(… AS type) | ( or )
//	column  = name { "." name | "[" integer or string "]" }
//
// Keywords and function names are read in any case; column names are taken as they are written. "x" in double quotes is a
// name, 'x' in single quotes is a string, and a quote inside either is written twice. What people bring from other
// languages (== && ! ?: and the like) is understood well enough to say what to write instead.
//
// The package knows neither columns nor types nor functions: package transform checks the tree against a schema. Parsing
// takes time in proportion to the text, whose length and depth are bounded, and never panics.
package syntax
