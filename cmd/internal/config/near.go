package config

import (
	"strconv"
	"strings"

	"github.com/millrace/millrace/stream/transform/syntax"
)

// nearest is the name that was probably meant, or "".
func nearest(word string, names []string) string {
	plain := strings.NewReplacer("-", "_", ".", "_", " ", "_")
	for _, n := range names {
		if strings.EqualFold(plain.Replace(word), n) || strings.EqualFold(strings.ReplaceAll(plain.Replace(word), "_", ""), strings.ReplaceAll(n, "_", "")) {
			return n
		}
	}
	return syntax.Near(word, names)
}

func didYouMean(word string, names []string) string {
	if n := nearest(word, names); n != "" && n != word {
		return `did you mean "` + n + `"?`
	}
	return ""
}

func itoa(n int) string { return strconv.Itoa(n) }
