package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			version, commit, goVersion := buildInfo()
			fmt.Fprintf(g.env.Stdout, "millrace %s %s %s\n", version, commit, goVersion)
			return nil
		},
	}
}

// buildInfo is what the Go toolchain stamped into the binary.
func buildInfo() (version, commit, goVersion string) {
	version, commit = "devel", "unknown"
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return version, commit, ""
	}
	if b.Main.Version != "" && b.Main.Version != "(devel)" {
		version = b.Main.Version
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value[:min(12, len(s.Value))]
		}
	}
	return version, commit, b.GoVersion
}
