package decimal

// MaxPrecision is the most digits that a decimal can have.
const MaxPrecision = 38

// Type is precision and scale.
type Type struct{ Precision, Scale int32 }

// fit brings a type within 38 digits: the digits before the point are kept, and at least min(scale, 6) behind it.
func (t Type) fit() Type {
	if t.Precision <= MaxPrecision {
		return t
	}
	whole := t.Precision - t.Scale
	return Type{MaxPrecision, max(MaxPrecision-whole, min(t.Scale, 6))}
}

// AddType is the type of a + b and a - b.
func AddType(a, b Type) Type {
	s := max(a.Scale, b.Scale)
	return Type{max(a.Precision-a.Scale, b.Precision-b.Scale) + s + 1, s}.fit()
}

// MulType is the type of a * b.
func MulType(a, b Type) Type { return Type{a.Precision + b.Precision + 1, a.Scale + b.Scale}.fit() }

// DivType is the type of a / b.
func DivType(a, b Type) Type {
	s := max(6, a.Scale+b.Precision+1)
	return Type{a.Precision - a.Scale + b.Scale + s, s}.fit()
}

// ModType is the type of a % b.
func ModType(a, b Type) Type {
	s := max(a.Scale, b.Scale)
	return Type{min(a.Precision-a.Scale, b.Precision-b.Scale) + s, s}.fit()
}

// CommonType is the type that holds every value of a and of b, as far as 38 digits reach.
func CommonType(a, b Type) Type {
	s := max(a.Scale, b.Scale)
	return Type{max(a.Precision-a.Scale, b.Precision-b.Scale) + s, s}.fit()
}
