package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/stream/transform/syntax"
)

// usagef is the error of a command line that cannot be understood.
func usagef(format string, args ...any) error {
	return &exit{exitUsage, fmt.Errorf(format, args...)}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, and %q is one; `%s --help` lists its flags", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}

// atLeast asks for n arguments, which the verb's usage line names.
func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usagef("%s needs more: write `%s`; see `%s --help`", cmd.CommandPath(), cmd.UseLine(), cmd.CommandPath())
		}
		return nil
	}
}

func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usagef("%s takes %d arguments, and %q is one more; write `%s`", cmd.CommandPath(), n, args[n], cmd.UseLine())
		}
		return atLeast(n)(cmd, args)
	}
}

// group makes a command that is only a prefix of others end well: alone it shows them, with a wrong word it says so.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		var names []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		hint := fmt.Sprintf("`%s --help` lists them", c.CommandPath())
		if near := syntax.Near(args[0], names); near != "" {
			hint = fmt.Sprintf("did you mean `%s %s`?", c.CommandPath(), near)
		}
		return usagef("there is no command %q; %s", strings.TrimPrefix(c.CommandPath()+" "+args[0], "millrace "), hint)
	}
}

// flagError says what is wrong with a flag, and which one was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	text := parsing.ReplaceAllString(err.Error(), ": ")
	hint := fmt.Sprintf("`%s --help` lists the flags", cmd.CommandPath())
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := syntax.Near(unknown.GetSpecifiedName(), names); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return usagef("%s; %s", text, hint)
}

// parsing is what Go's own functions put into their errors.
var parsing = regexp.MustCompile(`: (strconv\.\w+: parsing "[^"]*"|time): `)

// twins takes each flag that was not given from its environment variable: --memory-limit from MILLRACE_MEMORY_LIMIT.
func (g *global) twins(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "MILLRACE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v := g.env.Getenv(name); v != "" && !f.Changed && f.Name != "help" && err == nil {
			if e := cmd.Flags().Set(f.Name, v); e != nil {
				err = usagef("%s=%q: %s", name, v, parsing.ReplaceAllString(e.Error(), ": "))
			}
		}
	})
	if err != nil {
		return err
	}
	for _, c := range g.words() {
		if !oneOf(*c.value, c.words) {
			return usagef("--%s %q is not one of: %s", c.flag, *c.value, strings.ReplaceAll(c.words, " ", ", "))
		}
	}
	return nil
}

// choice is a flag that takes one of a few words.
type choice struct {
	flag  string
	value *string
	words string
}

func (g *global) words() []choice {
	return []choice{
		{"output", &g.output, "table json jsonl"}, {"color", &g.color, "auto always never"},
		{"log-level", &g.logLevel, "debug info warn error"}, {"log-format", &g.logForm, "text json"},
	}
}

func oneOf(s, words string) bool {
	for _, w := range strings.Fields(words) {
		if s == w {
			return true
		}
	}
	return false
}

// helpTemplate is the page of a command, in the width of the terminal.
func helpTemplate() string {
	width := strconv.Itoa(min(max(columns(os.Stdout), 60), 120))
	return `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}{{end}}
{{- $cmds := .Commands}}{{range .Groups}}{{$id := .ID}}

{{.Title}}{{range $cmds}}{{if and (eq .GroupID $id) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}
{{- if and .HasAvailableSubCommands (not .Groups)}}

Commands:{{range $cmds}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped ` + width + ` | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsagesWrapped ` + width + ` | trimTrailingWhitespaces}}{{end}}

Every flag has a twin in the environment: --log-level is MILLRACE_LOG_LEVEL. A flag given wins.
{{- if .HasAvailableSubCommands}}
` + "`{{.CommandPath}} COMMAND --help`" + ` tells more of one.{{end}}
`
}
