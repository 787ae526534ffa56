package syntax

// Place is where a part stands in the text: byte offset and length.
type Place struct{ Pos, Len int }

// At is the place itself; every node has it.
func (p Place) At() Place { return p }

// To is the place from the start of p to the end of q.
func (p Place) To(q Place) Place { return Place{p.Pos, q.Pos + q.Len - p.Pos} }

// Node is a part of an expression: one of the types below.
type Node interface{ At() Place }

// LiteralKind tells what a literal is.
type LiteralKind uint8

// The kinds of literals.
const (
	Null LiteralKind = iota
	True
	False
	String
	Integer
	Decimal // digits with a point
	Float   // with an exponent
	Date    // DATE '…'
	Timestamp
)

// Literal is a constant as it was written, without its quotes.
type Literal struct {
	Place
	Kind LiteralKind
	Text string
}

// Part is one step down from a column: a field by name, an element by number, or a map's value by key.
type Part struct {
	Place
	Name  string // a field, or a map's key
	Index int
	Kind  PartKind
}

// PartKind tells what a Part is.
type PartKind uint8

// The kinds of parts of a path.
const (
	Field PartKind = iota
	Element
	Key
)

// Path is a column, or something within one.
type Path struct {
	Place
	Column   string
	Name     Place // of the column alone
	Quoted   bool  // in double quotes
	Parts    []Part
	FullText string
}

// Call is a function call.
type Call struct {
	Place
	Name string // in lower case
	Word Place
	Args []Node
}

// Unary is NOT x or -x.
type Unary struct {
	Place
	Op string
	X  Node
}

// Binary is an operator between two: AND OR = <> < <= > >= + - * / % ||.
type Binary struct {
	Place
	Op   string
	Word Place
	L, R Node
}

// IsNull is x IS [NOT] NULL.
type IsNull struct {
	Place
	X   Node
	Not bool
}

// In is x [NOT] IN (…).
type In struct {
	Place
	X    Node
	List []Node
	Not  bool
}

// Between is x [NOT] BETWEEN lo AND hi.
type Between struct {
	Place
	X, Lo, Hi Node
	Not       bool
}

// Like is x [NOT] LIKE pattern [ESCAPE escape].
type Like struct {
	Place
	X, Pattern, Escape Node // Escape may be nil
	Not                bool
}

// When is one branch of a Case.
type When struct{ If, Then Node }

// Case is CASE [operand] WHEN … THEN … [ELSE …] END.
type Case struct {
	Place
	Operand Node // nil: every If is a condition
	Whens   []When
	Else    Node // nil: NULL
}

// Cast is CAST or TRY_CAST(x AS type).
type Cast struct {
	Place
	X        Node
	Type     string // as it was written
	TypeWord Place
	Try      bool
}
