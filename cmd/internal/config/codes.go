package config

// Codes of faults. They are stable: people search for them, and `millrace explain` will.
const (
	codeSyntax     = "E1001" // not YAML
	codeDuplicate  = "E1002" // a key twice
	codeUnknown    = "E1003" // no such key
	codeLater      = "E1004" // a key or value of a later version
	codeType       = "E1005" // wrong type
	codeMissing    = "E1006" // a required key is not there
	codeValue      = "E1007" // not one of the possible values
	codeUnit       = "E1008" // a size, duration or ratio without its unit
	codeRange      = "E1009" // negative, zero, too large
	codeAlias      = "E1010" // anchors, aliases, merge keys
	codeTooLarge   = "E1011" // file too large or too deep
	codeDocuments  = "E1012" // several documents
	codeEmpty      = "E1013" // nothing in the file
	codeText       = "E1014" // not UTF-8, control characters
	codeTab        = "E1015" // a tab as indentation
	codeTag        = "E1016" // !tag
	codeTorn       = "E1017" // torn apart at a comma of a flow map
	codeTernary    = "E1018" // a ? b : c
	codeQuoted     = "E1019" // an expression that starts with a quote
	codeUnset      = "E1020" // ${VAR} is not set
	codeVariable   = "E1021" // ${…} is malformed
	codeSecretFile = "E1022" // ${file:…} cannot be read
	codeFile       = "E1023" // the configuration file cannot be read
	codeComponent  = "E1024" // not exactly one component
	codeUnused     = "E1025" // --set names a variable that no file uses

	codeColumn        = "E2001" // no such column
	codeStepNames     = "E3001" // two steps or two sinks with one name, a reserved name
	codeFrom          = "E3002" // a sink reads from a step that does not exist
	codeFold          = "E3003" // columns that differ only in case
	codePartition     = "E3004" // a partition column that cannot be one
	codeNoColumns     = "E3006" // every column is a partition column
	codeTimestamp     = "E3007" // a partition per microsecond
	codeOverlap       = "E3008" // two tables, or a table and a ledger, in one place
	codeSameTable     = "E3009" // two sinks, one catalog table
	codeSmallFiles    = "W3010"
	codeSameLedger    = "E3011" // two pipelines, one ledger
	codeSameName      = "E3012" // two pipelines, one name
	codeLedgerKind    = "E3013" // ledger and tables do not go together
	codeLocation      = "E3014" // not a location
	codeSchema        = "E3015" // schema and format do not go together
	codeTooManyFaults = "E1099"
)
