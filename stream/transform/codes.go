package transform

import "github.com/millrace/millrace/stream/transform/syntax"

// The codes of errors, see package syntax.
const (
	CodeColumn   = syntax.CodeColumn
	CodeType     = syntax.CodeType
	CodeFunction = syntax.CodeFunction
	CodeArity    = syntax.CodeArity
	CodeValue    = syntax.CodeValue
	CodeTypeName = syntax.CodeTypeName
	CodeConstant = syntax.CodeConstant
	CodeForeign  = syntax.CodeForeign
	CodeStep     = syntax.CodeStep
)

type place = syntax.Place
