package syntax

// The codes of errors in expressions and steps. They are stable: people look them up.
const (
	CodeColumn   = "E2001" // there is no such column or field
	CodeType     = "E2002" // types do not go together
	CodeFunction = "E2003" // there is no such function
	CodeArity    = "E2004" // wrong number of arguments
	CodeValue    = "E2005" // a constant that cannot be computed or read
	CodeTypeName = "E2006" // there is no such type
	CodeConstant = "E2007" // an argument that has to be a constant
	CodeSyntax   = "E2010" // not an expression
	CodeForeign  = "E2011" // an operator of another language
	CodeLimit    = "E2012" // too long or too deep
	CodeStep     = "E2020" // the step as a whole: a column named twice, nothing left
)

// Error is one fault of an expression or a step, with its place in the text that it was found in.
type Error struct {
	Path string // which part of the step, "country" or "[2]"; empty: its only text
	Pos  int    // byte offset in the expression's text
	Len  int    // in bytes; 0: at the end
	Code string // E2…
	Text string // what is wrong
	Fix  string // what to write instead; may be empty
	Note string // what helps to find it, such as the columns that are here; may be empty
}

// Error is what is wrong, its code, and what to do.
func (e *Error) Error() string {
	s := e.Text + " [" + e.Code + "]"
	if e.Fix != "" {
		s += ": " + e.Fix
	}
	return s
}
