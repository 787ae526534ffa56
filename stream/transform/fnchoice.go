package transform

import "github.com/millrace/millrace/stream/transform/syntax"

func choiceFunctions() []Function {
	return []Function{
		{
			Name: "coalesce", Usage: "coalesce(a, b, …)", Result: "the type that all of them widen to",
			Doc:      "The first of the values that is not NULL; those behind it are not computed.",
			Examples: []Example{{"coalesce(NULL, 'x', 'y')", "x"}, {"coalesce(NULL, NULL)", "NULL"}}, min: 1, max: -1,
			bind: func(b *bound) node { return b.choose(&caseNode{coalesce: true, thens: b.args}) },
		},
		{
			Name: "if", Usage: "if(condition, then, else)", Result: "the type that both widen to",
			Doc:      "then where the condition is true, else where it is false or NULL; only the one taken is computed.",
			Examples: []Example{{"if(1 < 2, 'yes', 'no')", "yes"}, {"if(NULL, 1, 2)", "2"}}, min: 3, max: 3,
			bind: func(b *bound) node {
				cond := b.condition(b.args[0], b.at(0), "if")
				if cond == nil {
					return nil
				}
				return b.choose(&caseNode{conds: []node{cond}, thens: b.args[1:]})
			},
		},
		{
			Name: "nullif", Usage: "nullif(a, b)", Result: "the type of a", Doc: "NULL where a equals b, else a.",
			Examples: []Example{{"nullif('', '')", "NULL"}, {"nullif(1, NULL)", "1"}}, min: 2, max: 2, bind: bindNullif,
		},
	}
}

func (b *bound) choose(c *caseNode) node {
	var places []syntax.Place
	for i := range c.thens {
		places = append(places, b.at(i+len(b.args)-len(c.thens)))
	}
	if !b.unify(c, places, "the values of "+b.fn.Name) {
		return nil
	}
	if c.coalesce {
		c.mayNull = true
		for _, t := range c.thens {
			c.mayNull = c.mayNull && t.nullable()
		}
	}
	return c
}

func bindNullif(b *bound) node {
	h, let := b.hold(b.args[0])
	eq := b.compare("=", h, b.args[1], b.call.Place)
	if eq == nil {
		return nil
	}
	c := &caseNode{conds: []node{eq}, thens: []node{nullOf(h.typ()), h}, t: h.typ(), k: kindOf(h.typ()), mayNull: true}
	return let(c)
}
