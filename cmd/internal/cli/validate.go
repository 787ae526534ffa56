package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
)

// newValidate is `millrace validate`: it reads configurations and says everything that is wrong, touching nothing outside.
func newValidate(g *global) *cobra.Command {
	return validateWith(g, daemon.Components)
}

func validateWith(g *global, components func() config.Components) *cobra.Command {
	var strict bool
	var format string
	cmd := &cobra.Command{
		Use:   "validate PATH…",
		Short: "Check configurations and show every fault with its place",
		Long: "validate reads files, directories, or dir/... with all directories below, and reports everything that is wrong:\n" +
			"the place, the line, and what to write instead. It connects to nothing. The exit code is 78 if there is an error.",
		Example: "  millrace validate orders.yaml\n  millrace validate --set LAKE=my-bucket pipelines/\n  millrace validate --strict --format github ./...",
		Args:    atLeast(1),
		RunE: func(_ *cobra.Command, paths []string) error {
			if !oneOf(format, "human json github") {
				return &exit{exitUsage, fmt.Errorf("--format %q is not one of: human, json, github", format)}
			}
			o, err := g.configOptions()
			if err != nil {
				return err
			}
			ps, faults := config.LoadAll(paths, components(), o)
			w := g.env.Stdout
			switch format {
			case "json":
				if err := jsonFaults(w, faults); err != nil {
					return err
				}
			case "github":
				githubFaults(w, faults)
			default:
				g.reportFaults(w, ps, faults)
			}
			if faults.Errors() > 0 || strict && len(faults) > 0 {
				return &exit{code: exitConfig}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings count as errors")
	cmd.Flags().StringVar(&format, "format", "human", "human, json or github")
	return cmd
}

// reportFaults shows what was found, file by file, and what is good in one line each.
func (g *global) reportFaults(w io.Writer, ps []*config.Pipeline, faults config.Faults) {
	first := true
	for from := 0; from < len(faults); {
		to := from
		for to < len(faults) && faults[to].File == faults[from].File {
			to++
		}
		if !first {
			fmt.Fprintln(w)
		}
		first = false
		fmt.Fprintf(w, "%s: %s\n\n", faults[from].File, tally(faults[from:to]))
		g.printFaults(w, faults[from:to])
		from = to
	}
	if !first && len(ps) > 0 && !g.quiet {
		fmt.Fprintln(w)
	}
	for _, p := range ps { // those without errors
		if !g.quiet {
			fmt.Fprintf(w, "%s: good: %s\n", p.File, summaryOf(p))
		}
	}
}

// tally is "3 errors, 1 warning".
func tally(faults config.Faults) string {
	errs := faults.Errors()
	warnings := len(faults) - errs
	var parts []string
	if errs > 0 {
		parts = append(parts, countOf(errs, "error"))
	}
	if warnings > 0 {
		parts = append(parts, countOf(warnings, "warning"))
	}
	return strings.Join(parts, ", ")
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// summaryOf says in one line what a pipeline does.
func summaryOf(p *config.Pipeline) string {
	var tables []string
	for i := range p.Sinks {
		tables = append(tables, p.Sinks[i].Name+" → "+p.Sinks[i].Parquet.Location)
	}
	return fmt.Sprintf("pipeline %s, %s, %s", p.Name, countOf(len(p.Steps), "step"), strings.Join(tables, ", "))
}
