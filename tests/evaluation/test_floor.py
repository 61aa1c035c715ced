from bitscape.evaluation import as_bytes, frechet_distance, reconstruction_floor, statistics


def test_a_perfect_tokenizer_costs_only_the_sample_count(continuous, protocol, tmp_path) -> None:
    """The toy tokenizer keeps two channels of three, so only the third may add a distance."""
    floor = reconstruction_floor(continuous(), protocol, 60, workspace=tmp_path)
    real, other = (protocol.draw(range(start, start + 60))[0] for start in (0, 60))
    bias = frechet_distance(
        *(statistics(protocol.extractor.features(as_bytes(images))) for images in (real, other))
    )
    assert floor["fd_shapes"] > bias
    assert floor["fd_latent"] < 0.1


def test_the_floor_is_kept_apart_from_the_reference_images(continuous, protocol, tmp_path) -> None:
    seen = []

    def draw(indices):
        seen.extend(indices)
        return protocol.draw(indices)

    reconstruction_floor(
        continuous(), type(protocol)(**{**vars(protocol), "draw": draw}), 10, workspace=tmp_path
    )
    assert set(range(60)) < set(seen)
    assert max(seen) == 69
