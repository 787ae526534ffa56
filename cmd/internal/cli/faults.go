package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/millrace/millrace/cmd/internal/config"
)

// configOptions are what configurations depend on besides their text, as the flags say.
func (g *global) configOptions() (config.Options, error) {
	o := config.Options{Set: map[string]string{}, Env: g.lookup}
	for _, s := range g.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return o, &exit{exitUsage, fmt.Errorf("--set %q is not NAME=VALUE", s)}
		}
		o.Set[name] = value
	}
	if g.envFile != "" {
		vars, err := config.ParseEnvFile(g.envFile)
		if err != nil {
			return o, &exit{exitUsage, err}
		}
		o.EnvFile = vars
	}
	return o, nil
}

// lookup tells a variable that is empty from one that is not set, as far as the environment given does.
func (g *global) lookup(name string) (string, bool) {
	if v := g.env.Getenv(name); v != "" {
		return v, true
	}
	v, set := os.LookupEnv(name)
	return "", set && v == ""
}

// printFaults shows faults for people.
func (g *global) printFaults(w io.Writer, faults config.Faults) {
	paint := func(_, s string) string { return s }
	if g.colours(w) {
		paint = func(code, s string) string { return "\x1b[" + code + "m" + s + "\x1b[0m" }
	}
	for i := range faults {
		f := &faults[i]
		head, rest, _ := strings.Cut(f.String(), "\n")
		colour := "31" // red: nothing runs with this
		if f.Warning {
			colour = "33"
		}
		fmt.Fprintln(w, paint(colour, head))
		fmt.Fprint(w, rest)
	}
}

// jsonFaults writes faults as one array, for programs.
func jsonFaults(w io.Writer, faults config.Faults) error {
	if faults == nil {
		faults = config.Faults{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(faults)
}

// githubFaults writes faults as workflow commands, which GitHub shows beside the lines of a pull request.
func githubFaults(w io.Writer, faults config.Faults) {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for i := range faults {
		f := &faults[i]
		level := "error"
		if f.Warning {
			level = "warning"
		}
		at := "file=" + property.Replace(f.File)
		if f.Line > 0 {
			at += fmt.Sprintf(",line=%d,col=%d,endColumn=%d", f.Line, f.Column, f.Column+max(f.Length, 1))
		}
		text := f.Text
		if f.Fix != "" {
			text += "\n" + f.Fix
		}
		for _, n := range f.Notes {
			text += "\n" + n
		}
		fmt.Fprintf(w, "::%s %s,title=%s::%s\n", level, at, f.Code, data.Replace(text))
	}
}
