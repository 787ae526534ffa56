// Package cli is the command line: one file per verb. Standard output carries data, standard error logs and progress.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/millrace/millrace/stream"
)

// Exit codes. 130 and 143 follow a signal after a clean drain.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 64
	exitUnreachable = 69
	exitRetry       = 75
	exitDenied      = 77
	exitConfig      = 78
	exitInterrupt   = 130
	exitTerminated  = 143
)

// Env is the world outside, so that tests can give another.
type Env struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
}

// exit is an error with the code to end with. A nil err says nothing more: it has been said.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// global is what every verb understands.
type global struct {
	env      Env
	output   string
	color    string
	quiet    bool
	verbose  bool
	set      []string
	envFile  string
	logLevel string
	logForm  string
}

// Main runs one command line and returns the exit code.
func Main(env Env) int {
	g := &global{env: env}
	root := newRoot(g)
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	go interrupts(ctx, stop, env.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return signalled(ctx, exitDone)
	}
	var e *exit
	if !errors.As(err, &e) {
		e = &exit{code: codeOf(err), err: err}
	}
	if e.err != nil {
		fmt.Fprintln(env.Stderr, "millrace:", e.err)
		if next := stream.Next(e.err); next != "" {
			fmt.Fprintln(env.Stderr, "  next:", next)
		}
	}
	return e.code
}

// signalledBy is the cause of a context that a signal has ended.
type signalledBy struct{ os.Signal }

func (s signalledBy) Error() string { return s.String() }

// interrupts ends ctx at the first signal, so that everything drains, and the process at the second. Both lose nothing.
func interrupts(ctx context.Context, stop context.CancelCauseFunc, stderr io.Writer) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(c)
	for n := 1; ; n++ {
		select {
		case s := <-c:
			if n > 1 {
				fmt.Fprintln(stderr, "millrace: second signal, leaving at once; what was not committed is read again")
				os.Exit(signalCode(s)) //nolint:revive // a second signal asks for exactly this
			}
			stop(signalledBy{s})
			ctx = context.Background()
		case <-ctx.Done():
			return
		}
	}
}

// signalled is the exit code after a clean drain: that of the signal, if one asked for it.
func signalled(ctx context.Context, code int) int {
	var s signalledBy
	if errors.As(context.Cause(ctx), &s) {
		return signalCode(s.Signal)
	}
	return code
}

func signalCode(s os.Signal) int {
	if s == syscall.SIGINT {
		return exitInterrupt
	}
	return exitTerminated
}

func codeOf(err error) int {
	switch {
	case errors.Is(err, stream.ErrDenied):
		return exitDenied
	case errors.Is(err, stream.ErrUnavailable):
		return exitUnreachable
	case errors.Is(err, stream.ErrUnknown), errors.Is(err, stream.ErrFenced):
		return exitRetry
	default:
		return exitFailed
	}
}

func newRoot(g *global) *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "Streams into tables, exactly once",
		Long: "millrace reads Kafka topics, transforms their records in micro-batches and publishes partitioned Parquet tables,\n" +
			"on local disk or S3, with the catalog updated, exactly once.\n\nStart with `millrace demo`.",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return g.twins(cmd) },
	}
	f := root.PersistentFlags()
	f.StringVarP(&g.output, "output", "o", "table", "how data are printed: table, json or jsonl")
	f.StringVar(&g.color, "color", "auto", "colours: auto, always or never (NO_COLOR is honoured)")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "no progress, only warnings and errors")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "log details (the same as --log-level debug)")
	f.StringArrayVar(&g.set, "set", nil, "NAME=VALUE for ${NAME} in configurations; may be repeated")
	f.StringVar(&g.envFile, "env-file", "", "file of NAME=VALUE lines for ${NAME} in configurations")
	f.StringVar(&g.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&g.logForm, "log-format", "text", "text or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exit{exitUsage, fmt.Errorf("%w; `%s --help` lists the flags", err, cmd.CommandPath())}
	})
	root.AddCommand(newDemo(g), newRun(g), newValidate(g), newBookmarks(g), newCommits(g), newVersion(g))
	usage(root)
	return root
}

// usage makes wrong arguments end with the code for usage, whatever verb they were given to.
func usage(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, a []string) error {
			if err := args(c, a); err != nil {
				return &exit{exitUsage, fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.RunE = func(c *cobra.Command, a []string) error {
			if len(a) > 0 {
				return &exit{exitUsage, fmt.Errorf("there is no command %q; `%s --help` lists them", a[0], c.CommandPath())}
			}
			return c.Help()
		}
	}
	for _, sub := range cmd.Commands() {
		usage(sub)
	}
}

// twins takes each flag that was not given from its environment variable: --memory-limit from MILLRACE_MEMORY_LIMIT.
func (g *global) twins(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "MILLRACE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v := g.env.Getenv(name); v != "" && !f.Changed && err == nil {
			if e := cmd.Flags().Set(f.Name, v); e != nil {
				err = &exit{exitUsage, fmt.Errorf("%s=%q: %w", name, v, e)}
			}
		}
	})
	if err != nil {
		return err
	}
	for _, c := range []struct{ flag, value, words string }{
		{"output", g.output, "table json jsonl"}, {"color", g.color, "auto always never"},
		{"log-level", g.logLevel, "debug info warn error"}, {"log-format", g.logForm, "text json"},
	} {
		if !oneOf(c.value, c.words) {
			return &exit{exitUsage, fmt.Errorf("--%s %q is not one of: %s", c.flag, c.value, strings.ReplaceAll(c.words, " ", ", "))}
		}
	}
	return nil
}

func oneOf(s, words string) bool {
	for _, w := range strings.Fields(words) {
		if s == w {
			return true
		}
	}
	return false
}

// logger writes to w as the flags say.
func (g *global) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(g.logLevel)) // checked by twins
	if g.verbose {
		level = slog.LevelDebug
	}
	if g.quiet {
		level = max(level, slog.LevelWarn)
	}
	o := &slog.HandlerOptions{Level: level}
	if g.logForm == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// terminal tells whether w is one.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colours tells whether w gets colours.
func (g *global) colours(w io.Writer) bool {
	switch g.color {
	case "always":
		return true
	case "never":
		return false
	}
	return g.env.Getenv("NO_COLOR") == "" && terminal(w)
}
