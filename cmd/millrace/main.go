// Command millrace turns streams into tables. See README.md.
package main

import (
	"os"

	"github.com/millrace/millrace/cmd/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
	}))
}
