import numpy as np

from trainer.evaluate import class_vectors


def test_class_vectors_are_unit_means_of_their_prompts() -> None:
    of_prompts = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    expected = np.array([[0.5**0.5, 0.5**0.5], [1, 0]], dtype=np.float32)
    np.testing.assert_allclose(class_vectors(of_prompts, 2), expected, rtol=1e-6)
