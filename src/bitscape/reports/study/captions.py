"""What the page explains: a caption for each kind of figure, and its words."""

CAPTIONS = {
    "frontier": (
        "The best setting at each budget, where it was measured. Thick: the frontier with its "
        "interval. Thin: every other law over the sizes it was fitted to. Dotted: what the laws "
        "would promise beyond those sizes."
    ),
    "iso-quality": (
        "Bits each setting needs for the same quality, with 95 % intervals. Open markers lie "
        "outside the measured sizes; arrows leave the chart. Dashed: full precision."
    ),
    "styles": (
        "Bits over those that full precision of the same family takes for the same quality, mean "
        "over sizes with its 95 % interval: left of the line quantizing pays. Open markers: full "
        "precision's law is read outside its sizes. Raw quality is never compared between families."
    ),
    "changes": (
        "What quantizing changes of the metric of the same model, mean over models; bars are two "
        "standard errors to both sides, from repeated runs and from images, where the records "
        "hold them. No law is needed, so families of two sizes stand here too."
    ),
    "laws": (
        "The laws, one panel a method, with 95 % intervals: colour is weight bits, the marker "
        "activation bits. Parallel lines mean that a precision is worth a fixed share of the bits."
    ),
}

GLOSSARY = {
    "Setting": "A method at one precision. W4A16 keeps weights in 4 bits, activations in 16.",
    "Law": (
        "Quality falls as a power of the bits B: Q = a B^-exponent, possibly over a floor c. "
        "A straight line in a picture with two logarithmic axes."
    ),
    "Form": (
        "Power law and floor are fitted to one setting. The bivariate form adds a power of the "
        "precision, the effective-parameter form one number for each precision; both share their "
        "exponent among the precisions of a method. The form that best predicts a size left out of "
        "the fit is chosen, the power law unless another is clearly better."
    ),
    "Of precision, or g": (
        "The bivariate form's exponent of the precision; of the effective-parameter form g, how "
        "many parameters of full precision one parameter of the setting is worth."
    ),
    "Interval": (
        "Where the true value lies with 95 % confidence if the form is right (Student's t). With "
        "four sizes there are only two degrees of freedom, so intervals are wide."
    ),
    "Of full precision": "Bits needed for the same quality, over those of full precision.",
    "Left-out error": "Typical error of log Q when a size is predicted from the others.",
    "Frontier share": "How often the setting wins its budget when residuals are redrawn.",
    "Model bits": "Width of the weights times their number: memory.",
    "Compute bits": "Width of weights times width of activations times number of weights.",
}
