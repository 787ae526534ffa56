package syntax

import "strings"

// Near is the name that was probably meant by word, or "": one that differs in case only, else the nearest by edits, if it
// is near enough to be no guess.
func Near(word string, names []string) string {
	lower := strings.ToLower(word)
	best, least := "", len(word)/3+1
	if least > 3 {
		least = 3
	}
	for _, n := range names {
		l := strings.ToLower(n)
		if l == lower {
			return n
		}
		if d := edits(lower, l, least); d <= least && (best == "" || d < least) && d < len(word) {
			best, least = n, d
		}
	}
	return best
}

// edits counts the insertions, deletions, replacements and swaps of neighbours that make b of a; more than limit is any
// larger number.
func edits(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
