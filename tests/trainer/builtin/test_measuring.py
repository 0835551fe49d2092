import numpy as np

from trainer.builtin.measuring import text_to_image_recall, zero_shot_top_1


def test_recall_counts_the_rank_of_the_own_picture() -> None:
    images = np.eye(12, dtype=np.float32)
    texts = np.zeros((2, 12), dtype=np.float32)
    texts[0, 3] = 1.0  # finds its own picture first
    texts[1] = np.linspace(1.0, 0.1, 12)  # its own is the fourth
    recall = text_to_image_recall(texts, images, np.array([3, 3]))
    assert (recall.at_1, recall.at_5, recall.at_10) == (0.5, 1.0, 1.0)


def test_an_encoder_that_says_the_same_of_everything_scores_nothing() -> None:
    same = np.ones((20, 4), dtype=np.float32) / 2
    recall = text_to_image_recall(same, same, np.arange(20))
    assert recall.at_10 == 0.0


def test_zero_shot_top_1_is_the_share_of_right_nearest_classes() -> None:
    images = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    assert zero_shot_top_1(images, np.array([0, 1, 1]), np.eye(2, dtype=np.float32)) == 2 / 3
