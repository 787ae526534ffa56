package config

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Variables stand in values: ${VAR}, ${VAR:-default}, ${file:/path}; $$ is a dollar sign. They are replaced in scalars of
// the parsed tree, so that a value can never become YAML. But a brace ends a plain scalar of a flow map, and so
// {location: s3://${LAKE}/orders/} would not parse: inside ${…} the characters that mean something to YAML are swapped for
// private ones before parsing, one for one so that columns stay, and swapped back in the tree.

const maskBase = 0x10ff00

const masked = "{}[],:#&*!|>%@`"

func mask(text string) string {
	if !strings.Contains(text, "${") || strings.ContainsFunc(text, isMask) {
		return text
	}
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		end := closing(text[i:])
		b.WriteString(text[:i+1])
		if end < 0 || !reference.MatchString(text[i+2:i+end-1]) {
			text = text[i+1:]
			continue
		}
		for _, r := range text[i+1 : i+end] {
			if k := strings.IndexRune(masked, r); k >= 0 {
				r = rune(maskBase + k)
			}
			b.WriteRune(r)
		}
		text = text[i+end:]
	}
	b.WriteString(text)
	return b.String()
}

func isMask(r rune) bool { return r >= maskBase && r < maskBase+rune(len(masked)) }

func unmask(s string) string {
	return strings.Map(func(r rune) rune {
		if isMask(r) {
			return rune(masked[r-maskBase])
		}
		return r
	}, s)
}

// maxReference is far more than a path or a default takes.
const maxReference = 4 << 10

// closing is the index behind the brace that closes the "${" that s begins with, on the same line; -1: there is none.
func closing(s string) int {
	s = s[:min(len(s), maxReference)]
	i := strings.IndexAny(s, "}\n")
	if i < 0 || s[i] == '\n' || strings.Contains(s[2:i], "${") {
		return -1
	}
	return i + 1
}

// sub is one replacement: text[to:toEnd] stands for raw[from:fromEnd], in bytes.
type sub struct{ from, fromEnd, to, toEnd int }

// reference is what may stand in the braces.
var reference = regexp.MustCompile(`^(file:.*|[A-Za-z_][A-Za-z0-9_]*(:-.*)?)$`)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// substitute replaces the variables of a scalar.
func (l *loader) substitute(n *node) {
	if !strings.Contains(n.raw, "$") {
		return
	}
	var b strings.Builder
	for i := 0; i < len(n.raw); {
		rest := n.raw[i:]
		switch {
		case strings.HasPrefix(rest, "$$"):
			n.subs = append(n.subs, sub{i, i + 2, b.Len(), b.Len() + 1})
			b.WriteByte('$')
			i += 2
		case strings.HasPrefix(rest, "${"):
			end := closing(rest)
			if end < 0 {
				l.inside(n, i, 2, codeVariable, "${ without its closing brace").Fix = "variables do not nest; $$ is a plain dollar sign"
				n.broken = true
				return
			}
			at := b.Len()
			b.WriteString(l.variable(n, i, rest[2:end-1]))
			n.subs = append(n.subs, sub{i, i + end, at, b.Len()})
			i += end
		default:
			b.WriteByte(rest[0])
			i++
		}
	}
	n.text = b.String()
}

// variable is the value of one ${body}, which stands at byte i of the scalar n.
func (l *loader) variable(n *node, i int, body string) string {
	length := utf8.RuneCountInString(body) + 3
	if path, ok := strings.CutPrefix(body, "file:"); ok {
		n.secret = true
		return l.secretFile(n, i, length, path)
	}
	name, def, hasDefault := strings.Cut(body, ":-")
	if !variable.MatchString(name) {
		f := l.inside(n, i, length, codeVariable, "${%s} is not a variable", body)
		f.Fix = "write ${NAME}, ${NAME:-default} or ${file:/path}; $$ is a plain dollar sign"
		n.broken = true
		return ""
	}
	l.used[name] = true
	if v, ok := l.lookup(name); ok && (v != "" || !hasDefault) {
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			l.inside(n, i, length, codeVariable, "the value of ${%s} is not UTF-8 text", name)
			n.broken = true
			return ""
		}
		return v
	}
	if hasDefault {
		return def
	}
	f := l.inside(n, i, length, codeUnset, "variable %s is not set", name)
	f.Fix = fmt.Sprintf("export %s=… or --set %s=…, or give a default: ${%s:-…}", name, name, name)
	if near := nearest(name, l.setNames()); near != "" {
		f.Fix = fmt.Sprintf("did you mean %s?", near)
	}
	n.broken = true
	return ""
}

func (l *loader) setNames() []string {
	var names []string
	for k := range l.opt.Set {
		names = append(names, k)
	}
	for k := range l.opt.EnvFile {
		names = append(names, k)
	}
	return names
}

func (l *loader) lookup(name string) (string, bool) {
	if v, ok := l.opt.Set[name]; ok {
		return v, true
	}
	if l.opt.Env != nil {
		if v, ok := l.opt.Env(name); ok {
			return v, true
		}
	}
	v, ok := l.opt.EnvFile[name]
	return v, ok
}

// maxSecretFile bounds ${file:…}: passwords and keys are small.
const maxSecretFile = 64 << 10

func (l *loader) secretFile(n *node, i, length int, path string) string {
	if path == "" {
		l.inside(n, i, length, codeVariable, "${file:} names no file").Fix = "write ${file:/run/secrets/name}"
		n.broken = true
		return ""
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.opt.Dir, path)
	}
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	} else if err == nil && st.Size() > maxSecretFile {
		err = fmt.Errorf("%s has %d bytes, a secret has at most %d", path, st.Size(), maxSecretFile)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path) //nolint:gosec // the configuration names it
	}
	if err == nil && !utf8.Valid(b) {
		err = fmt.Errorf("%s is not UTF-8 text", path)
	}
	if err != nil {
		l.inside(n, i, length, codeSecretFile, "cannot read the file: %s", strings.TrimPrefix(err.Error(), "open "))
		n.broken = true
		return ""
	}
	s := strings.TrimRight(string(b), "\r\n")
	l.hide(s)
	return s
}

// ParseEnvFile reads NAME=value lines, as --env-file takes them. Empty lines and lines that begin with # are skipped; a
// value may be quoted, and nothing in it is expanded.
func ParseEnvFile(path string) (map[string]string, error) {
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return nil, fmt.Errorf("env-file: %w", err)
	}
	defer f.Close() // read only
	vars := map[string]string{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, maxFile)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(sc.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !variable.MatchString(name) {
			return nil, fmt.Errorf("env-file: %s:%d: not NAME=value", path, n)
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		vars[name] = value
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("env-file: %s: %w", path, err)
	}
	return vars, nil
}
