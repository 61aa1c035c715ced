"""The colours of all figures: Okabe and Ito's, distinct to every kind of colour vision, and greys.

No figure tells by colour alone: a marker or a number beside it repeats what matters.
"""

BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILION, PURPLE = "#E69F00", "#D55E00", "#CC79A7"

INK, GREY, PALE = "#1a1a1a", "#5a5a5a", "#b9b9b9"
RULE, GRID, SHADE = "#d0d0d0", "#e6e6e6", "#f5f5f5"
