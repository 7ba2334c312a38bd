"""The demo's texts are real, labelled, and split so that nothing tested was trained on."""

from demo.texts import news, reviews


def test_reviews_are_all_there_with_their_labels() -> None:
    """12,808 short reviews, fresh or rotten."""
    frame = reviews()

    assert len(frame) == 12_808
    assert set(frame["label"]) == {"fresh", "rotten"}
    assert frame["body"].str.len().between(3, 300).all()


def test_reviews_leave_enough_to_predict() -> None:
    """More than 5,000 reviews are of films that no model was trained on."""
    assert reviews()["split"].value_counts().to_dict() == {"train": 6_342, "test": 6_466}


def test_news_keep_the_published_split() -> None:
    """Reuters R8: 5,485 stories for training, 2,189 for testing, 8 topics."""
    frame = news()

    assert frame["split"].value_counts().to_dict() == {"train": 5_485, "test": 2_189}
    assert frame["label"].nunique() == 8
    assert not frame["body"].str.contains("\t").any()


def test_texts_come_in_the_same_mixed_order_every_time() -> None:
    """What is inserted as fresh does not depend on the process."""
    assert reviews()["body"].tolist() == reviews()["body"].tolist()
    assert news()["label"].head(50).nunique() > 3
