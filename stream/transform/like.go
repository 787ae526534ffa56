package transform

import (
	"strings"
	"unicode/utf8"
)

const noEscape = "in a LIKE pattern stands before %, _ or itself only"

// likePart is one character of a pattern: a character, any character, or any run of them.
type likePart struct {
	r   rune
	any bool
	run bool
}

// likeParts compiles a pattern, and says what is wrong with it.
func likeParts(dst []likePart, pattern string, escape rune) ([]likePart, string) {
	escaped := false
	for _, r := range pattern {
		switch {
		case escaped:
			if r != '%' && r != '_' && r != escape {
				return dst, "the escape character " + string(escape) + " " + noEscape
			}
			dst, escaped = append(dst, likePart{r: r}), false
		case r == escape:
			escaped = true
		case r == '%':
			if n := len(dst); n == 0 || !dst[n-1].run {
				dst = append(dst, likePart{run: true})
			}
		case r == '_':
			dst = append(dst, likePart{any: true})
		default:
			dst = append(dst, likePart{r: r})
		}
	}
	if escaped {
		return dst, "the escape character " + string(escape) + " " + noEscape
	}
	return dst, ""
}

// likeMatcher compiles a constant pattern. Those with % at the ends only become searches for a string.
func likeMatcher(pattern string, escape rune) (func(string) bool, string) {
	parts, wrong := likeParts(nil, pattern, escape)
	if wrong != "" {
		return nil, wrong
	}
	body := parts
	head, tail := false, false
	if len(body) > 0 && body[0].run {
		head, body = true, body[1:]
	}
	if len(body) > 0 && body[len(body)-1].run {
		tail, body = true, body[:len(body)-1]
	}
	var text strings.Builder
	for _, p := range body {
		if p.any || p.run {
			return func(s string) bool { return likeMatch(parts, s) }, ""
		}
		text.WriteRune(p.r)
	}
	t := text.String()
	switch {
	case head && len(parts) == 1:
		return func(string) bool { return true }, ""
	case head && tail:
		return func(s string) bool { return strings.Contains(s, t) }, ""
	case head:
		return func(s string) bool { return strings.HasSuffix(s, t) }, ""
	case tail:
		return func(s string) bool { return strings.HasPrefix(s, t) }, ""
	}
	return func(s string) bool { return s == t }, ""
}

// likeMatch goes back to the last % only, so that it takes at most len(parts) * len(s) steps.
func likeMatch(parts []likePart, s string) bool {
	p, i := 0, 0
	backP, backI := -1, 0
	for i < len(s) {
		if p < len(parts) && parts[p].run {
			p++
			backP, backI = p, i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if p < len(parts) && (parts[p].any || parts[p].r == r) {
			p++
			i += n
			continue
		}
		if backP < 0 {
			return false
		}
		_, n = utf8.DecodeRuneInString(s[backI:])
		backI += n
		p, i = backP, backI
	}
	for p < len(parts) && parts[p].run {
		p++
	}
	return p == len(parts)
}

// likeKernel is LIKE with a pattern of its own in every row.
func likeKernel(escape rune) kernel {
	var parts []likePart
	last, compiled := "", false
	return func(c *ctx, sel []int32, in []*col, out *col) {
		compiled = false // the string that last points to may be gone
		for _, i := range sel {
			if p := in[1].str[i]; !compiled || p != last {
				var wrong string
				if parts, wrong = likeParts(parts[:0], p, escape); wrong != "" {
					c.fail(i, CodeArgument, wrong+": "+quote(p))
					out.setNull(i)
					compiled = false
					continue
				}
				last, compiled = p, true
			}
			out.b[i] = likeMatch(parts, in[0].str[i])
		}
	}
}
