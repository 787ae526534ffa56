package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/stream"
)

// field is a key that a struct takes.
type field struct {
	key   string
	index []int
	hash  bool // takes part in the hash of the plan
}

// fields lists the keys of a struct type in its order; those of embedded structs are its own.
func fields(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inline := strings.Contains(f.Tag.Get("yaml"), ",inline") || f.Anonymous && key == ""
		switch {
		case inline && f.Type.Kind() == reflect.Struct:
			for _, sub := range fields(f.Type) {
				fs = append(fs, field{sub.key, append([]int{i}, sub.index...), sub.hash})
			}
		case key != "" && key != "-" && f.IsExported():
			fs = append(fs, field{key, []int{i}, f.Tag.Get("plan") != "-"})
		}
	}
	return fs
}

//nolint:gochecknoglobals // a table, never written
var (
	durationType = reflect.TypeFor[time.Duration]()
	bytesType    = reflect.TypeFor[stream.Bytes]()
	secretType   = reflect.TypeFor[stream.Secret]()
	shareType    = reflect.TypeFor[share]()
	patienceType = reflect.TypeFor[patience]()
	nodeType     = reflect.TypeFor[*node]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// fill decodes n, a map, into the structs that into points to: a key belongs to the first that has it. path is for people.
func (l *loader) fill(n *node, path string, into ...any) {
	if n == nil || n.broken {
		return
	}
	if n.null() {
		l.fault(n.span(), codeType, "%s has no value", path).Fix = "give it one, or remove the key"
		return
	}
	if n.kind != mapping {
		l.fault(n.span(), codeType, "%s takes keys, not %s", path, n.show()).Fix = "keys: " + strings.Join(keysOf(into...), ", ")
		return
	}
	for i, k := range n.keys {
		ok := false
		for _, s := range into {
			v := reflect.ValueOf(s).Elem()
			for _, f := range fields(v.Type()) {
				if f.key == k.text {
					l.value(n.vals[i], v.FieldByIndex(f.index), join(path, f.key))
					ok = true
				}
			}
			if ok {
				break
			}
		}
		if !ok {
			l.unknown(k, path, keysOf(into...))
		}
	}
}

func keysOf(into ...any) []string {
	var keys []string
	for _, s := range into {
		for _, f := range fields(reflect.TypeOf(s).Elem()) {
			keys = append(keys, f.key)
		}
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// unknown reports a key that nothing takes: one of a later version, or a slip.
func (l *loader) unknown(k *node, path string, known []string) {
	if later(join(path, k.text)) {
		l.later(k, join(path, k.text))
		return
	}
	under := ""
	if path != "" {
		under = " under " + path
	}
	f := l.fault(k.span(), codeUnknown, "unknown field %s%s", quote(k.text), under)
	if f.Fix = didYouMean(k.text, known); f.Fix != "" {
		l.meant[join(path, nearest(k.text, known))] = true
		return
	}
	if home := l.home(k.text, path); home != "" {
		f.Fix = fmt.Sprintf("%q belongs under %s", k.text, home)
	} else if len(known) > 0 {
		known = slices.Sorted(slices.Values(known))
		f.Fix = "keys here: " + strings.Join(known, ", ")
	}
}

// value decodes n into v by v's type.
func (l *loader) value(n *node, v reflect.Value, path string) {
	if n.broken {
		return
	}
	t := v.Type()
	if t == secretType || t.Kind() == reflect.Slice && t.Elem() == secretType {
		l.secret(n)
	}
	switch {
	case t == nodeType:
		v.Set(reflect.ValueOf(n))
		return
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		l.value(n, p.Elem(), path)
		v.Set(p)
		return
	case t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType):
		l.fill(n, path, v.Addr().Interface())
		return
	case t.Kind() == reflect.Slice:
		l.list(n, v, path)
		return
	case t.Kind() == reflect.Map:
		l.dict(n, v, path)
		return
	}
	if n.kind != scalar {
		l.fault(n.span(), codeType, "%s takes one value, not %s", path, n.show())
		return
	}
	if n.null() {
		l.fault(n.span(), codeType, "%s has no value", path).Fix = "give it one, or remove the key"
		return
	}
	l.scalar(n, v, path)
}

func (l *loader) scalar(n *node, v reflect.Value, path string) {
	t := v.Type()
	switch {
	case t == secretType:
		if s, ok := l.str(n, path); ok {
			v.SetString(s)
		}
	case t == durationType:
		if d, ok := l.duration(n, path); ok {
			v.SetInt(int64(d))
		}
	case t == patienceType && n.text == "never":
		v.SetInt(0)
	case t == patienceType:
		if d, ok := l.duration(n, path); ok {
			v.SetInt(int64(d))
		}
	case t == shareType:
		if x, ok := l.percent(n, path); ok {
			v.SetFloat(x)
		}
	case t == bytesType:
		if b, ok := l.bytes(n, path); ok {
			v.SetInt(int64(b))
		}
	case reflect.PointerTo(t).Implements(textType):
		if s, ok := l.str(n, path); ok {
			if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
				l.fault(n.span(), codeValue, "%s: %s", path, err)
			}
		}
	case t.Kind() == reflect.String:
		if s, ok := l.str(n, path); ok {
			v.SetString(s)
		}
	case t.Kind() == reflect.Bool:
		if b, ok := l.boolean(n, path); ok {
			v.SetBool(b)
		}
	case v.CanInt():
		if i, ok := l.integer(n, path, t.Bits()); ok {
			v.SetInt(i)
		}
	case v.CanFloat():
		if f, ok := l.float(n, path); ok {
			v.SetFloat(f)
		}
	default:
		panic("config: a component's configuration has a field of type " + t.String())
	}
}

// list takes a list, or one value: `topics: orders`, and `brokers: ${BROKERS}` with commas in it.
func (l *loader) list(n *node, v reflect.Value, path string) {
	elem := v.Type().Elem()
	switch {
	case n.null():
		l.fault(n.span(), codeType, "%s has no value", path).Fix = "give it one, or remove the key"
		return
	case n.kind == scalar && elem.Kind() == reflect.String:
		s, ok := l.str(n, path)
		if !ok {
			return
		}
		out := reflect.MakeSlice(v.Type(), 0, 1)
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = reflect.Append(out, reflect.ValueOf(part).Convert(elem))
			}
		}
		v.Set(out)
		return
	case n.kind != sequence:
		l.fault(n.span(), codeType, "%s takes a list, not %s", path, n.show()).Fix = "write [a, b]"
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.vals), len(n.vals))
	for i, c := range n.vals {
		l.value(c, out.Index(i), path+"["+strconv.Itoa(i)+"]")
	}
	v.Set(out)
}

func (l *loader) dict(n *node, v reflect.Value, path string) {
	if n.kind != mapping {
		l.fault(n.span(), codeType, "%s takes a map, not %s", path, n.show()).Fix = "write {key: value}"
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.vals))
	for i, k := range n.keys {
		e := reflect.New(v.Type().Elem()).Elem()
		l.value(n.vals[i], e, join(path, k.text))
		out.SetMapIndex(reflect.ValueOf(k.text).Convert(v.Type().Key()), e)
	}
	v.Set(out)
}

// validate asks a component what is wrong with its configuration and gives each fault its place.
func (l *loader) validate(n *node, path string, c any) {
	v, ok := c.(validator)
	if !ok || n != nil && (n.broken || n.kind != mapping) {
		return
	}
	before := l.marks()
	for _, f := range v.Validate() {
		at, exact := n.find(f.Path)
		if l.meant[join(path, f.Path)] || at == nil || at.broken || before[at.span()] && exact {
			continue // a value that could not be read was told already
		}
		code := f.Code
		if code == "" {
			code = codeValue
		}
		text := f.Text
		if p := join(path, f.Path); !strings.Contains(text, f.Path) || f.Path == "" {
			text = p + ": " + text
		}
		where := at.span()
		if !exact && at.key != nil {
			where = at.key.span()
		}
		l.fault(where, code, "%s", text).Fix = f.Fix
	}
}

// marks are the places that faults were reported at so far.
func (l *loader) marks() map[span]bool {
	m := map[span]bool{}
	for _, f := range l.faults {
		m[span{f.Line, f.Column, f.Length}] = true
	}
	return m
}

// find follows a dotted path with [i]; if it ends early, the last node that is there.
func (n *node) find(path string) (at *node, exact bool) {
	if n == nil {
		return nil, false
	}
	path = strings.ReplaceAll(strings.ReplaceAll(path, "[", "."), "]", "")
	for part := range strings.SplitSeq(path, ".") {
		if part == "" {
			continue
		}
		next := n.get(part)
		if i, err := strconv.Atoi(part); err == nil && n.kind == sequence && i >= 0 && i < len(n.vals) {
			next = n.vals[i]
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}
