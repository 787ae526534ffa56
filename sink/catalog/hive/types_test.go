package hive

import (
	"strings"
	"testing"
)

func TestParseType(t *testing.T) {
	for in, want := range map[string]string{
		"string":                         "string",
		" INT ":                          "int",
		"integer":                        "int",
		"decimal":                        "decimal(10,0)",
		"Decimal( 18, 2 )":               "decimal(18,2)",
		"varchar(20)":                    "varchar(20)",
		"array<string>":                  "array<string>",
		"map< string , decimal(9, 2) >":  "map<string,decimal(9,2)>",
		"struct<a:int,B:struct<c:date>>": "struct<a:int,b:struct<c:date>>",
		"struct<a b:int, grüße:string>":  "struct<a b:int,grüße:string>",
		"array<map<string,array<int>>>":  "array<map<string,array<int>>>",
		"uniontype<int,string>":          "uniontype<int,string>",
		"struct<a:timestamp  with local time zone>": "struct<a:timestamp with local time zone>",
	} {
		got, err := parseType(in)
		if err != nil || got.String() != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "array", "array<>", "array<int", "array<int>>", "map<int>", "map<int,int,int>", "struct<a>", "struct<:int>", "int<string>", "struct<a:int,>",
		strings.Repeat("array<", 100_000),
	} {
		if got, err := parseType(in); err == nil {
			t.Errorf("%.20q: got %s, want an error", in, got)
		}
	}
}

func FuzzParseType(f *testing.F) {
	f.Add("struct<a:int,b:array<map<string,decimal(18,2)>>>")
	f.Add("array<")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseType(s)
		if err != nil {
			return
		}
		b, err := parseType(a.String())
		if err != nil || a.String() != b.String() {
			t.Errorf("%q reads as %q and then as %q, %v", s, a, b, err)
		}
	})
}

func TestMerge(t *testing.T) {
	for _, tc := range []struct{ have, want, merged, added, bad string }{
		{"int", "int", "int", "", ""},
		{"int", "bigint", "int", "", "c"},
		{"array<int>", "array<string>", "array<int>", "", "c"},
		{"array<int>", "map<int,int>", "array<int>", "", "c"},
		{"array<int>", "int", "array<int>", "", "c"},
		{"struct<a:int>", "struct<b:int,a:int>", "struct<a:int,b:int>", "c.b", ""},
		{"struct<a:int,z:int>", "struct<a:int>", "struct<a:int,z:int>", "", ""},
		{"array<struct<a:int>>", "array<struct<a:string,b:int>>", "array<struct<a:int,b:int>>", "c.b", "c.a"},
		{"map<string,struct<a:int>>", "map<string,struct<a:int,b:struct<x:int>>>", "map<string,struct<a:int,b:struct<x:int>>>", "c.b", ""},
		{"struct<a:struct<x:int>>", "struct<a:struct<y:int,x:date>>", "struct<a:struct<x:int,y:int>>", "c.a.y", "c.a.x"},
	} {
		have, err1 := parseType(tc.have)
		want, err2 := parseType(tc.want)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		var added []string
		var bad []misfit
		got := merge("c", have, want, &added, &bad)
		var badPath string
		for _, m := range bad {
			badPath += m.path
		}
		if got.String() != tc.merged || strings.Join(added, " ") != tc.added || badPath != tc.bad {
			t.Errorf("%s and %s: got %s, added %v, bad %v; want %s, %s, %s", tc.have, tc.want, got, added, bad, tc.merged, tc.added, tc.bad)
		}
		if have.String() != tc.have {
			t.Errorf("merging changed what was there: %s", have)
		}
	}
}
